import { EventType } from "#pkg/job/index.ts";
import { Promised, type Violation } from "#test/simulation/promises/promise.ts";
import { KINDS } from "./kinds.ts";
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
  /** Of everything that can befall a world, how often it did; what never did stands at 0. */
  readonly counts: Readonly<Record<string, number>>;
  /** How often each promise was put to the test, likewise. */
  readonly tests: Readonly<Record<string, number>>;
  /** What the jobs' histories tell, likewise. */
  readonly events: Readonly<Record<string, number>>;
  readonly simulatedMs: number;
  readonly acts: number;
}

export async function runBatch({ from, count }: Batch): Promise<BatchEnd> {
  const counts = noneOf(KINDS);
  const tests = noneOf(Object.values(Promised));
  const events = noneOf(Object.values(EventType));
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

function noneOf(kinds: readonly string[]): Map<string, number> {
  return new Map(kinds.map((kind) => [kind, 0]));
}

/** Adds counts to counts. */
function add(sum: Map<string, number>, more: Iterable<readonly [string, number]>): void {
  for (const [kind, number] of more) sum.set(kind, (sum.get(kind) ?? 0) + number);
}
