import type { Violation } from "#test/simulation/promises/promise.ts";
import { runSeed } from "./run-seed.ts";

/** A run of consecutive seeds. */
export interface Batch {
  readonly from: number;
  readonly count: number;
}

export interface Failure {
  readonly seed: number;
  readonly violation: Violation;
  readonly struck: readonly string[];
}

/** What a batch came to. */
export interface BatchEnd {
  readonly seeds: number;
  /** The first seed that broke a promise; those behind it were not run. */
  readonly failure: Failure | undefined;
  readonly counts: Readonly<Record<string, number>>;
  readonly tests: Readonly<Record<string, number>>;
  readonly events: Readonly<Record<string, number>>;
  readonly simulatedMs: number;
  readonly acts: number;
}

export async function runBatch({ from, count }: Batch): Promise<BatchEnd> {
  const counts = new Map<string, number>();
  const tests = new Map<string, number>();
  const events = new Map<string, number>();
  let simulatedMs = 0;
  let acts = 0;
  let failure: Failure | undefined;
  let seed = from;
  for (; seed < from + count && failure === undefined; seed += 1) {
    const end = await runSeed(seed);
    add(counts, end.counts);
    add(tests, end.tests);
    add(events, end.events);
    simulatedMs += end.simulatedMs;
    acts += end.acts;
    if (end.violation !== undefined) failure = { seed, violation: end.violation, struck: end.struck };
  }
  return {
    seeds: seed - from,
    failure,
    counts: Object.fromEntries(counts),
    tests: Object.fromEntries(tests),
    events: Object.fromEntries(events),
    simulatedMs,
    acts,
  };
}

/** Adds counts to counts. */
function add(sum: Map<string, number>, more: Iterable<readonly [string, number]>): void {
  for (const [kind, number] of more) sum.set(kind, (sum.get(kind) ?? 0) + number);
}
