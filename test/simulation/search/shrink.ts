import type { Violation } from "#test/simulation/promises/promise.ts";
import { runSeed } from "./run-seed.ts";

/** A schedule that breaks a promise, and of which nothing can be left out. */
export interface Shrunk {
  /** What takes part: workers, jobs, what callers do, faults and accidents, by id. */
  readonly kept: readonly string[];
  readonly violation: Violation;
  /** How many worlds were run for it. */
  readonly runs: number;
}

/** A shrinking that has not come to its end by then answers with what it has. */
const MOST_RUNS = 500;

/**
 * Leaves out of a failing schedule whatever is not needed for the same promise to break: halves, quarters, … single steps,
 * until no single one can go (delta debugging; Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
 * IEEE TSE 2002). What is left out changes what happens after it, so each try is a world of its own.
 */
export async function shrink(
  seed: number,
  violation: Violation,
  struck: readonly string[],
  onRun: (kept: number, runs: number) => void = () => undefined,
): Promise<Shrunk> {
  let best: Shrunk = { kept: [...new Set(struck)], violation, runs: 0 };
  let runs = 0;

  /** Whether the promise breaks with these alone; then they are the best so far. */
  async function stillBreaks(kept: readonly string[]): Promise<boolean> {
    runs += 1;
    const allowed = new Set(kept);
    const end = await runSeed(seed, (id) => allowed.has(id));
    onRun(best.kept.length, runs);
    if (end.violation?.promise !== violation.promise) return false;
    const happened = new Set(end.struck);
    best = { kept: kept.filter((id) => happened.has(id)), violation: end.violation, runs };
    return true;
  }

  let size = Math.ceil(best.kept.length / 2);
  while (size >= 1 && runs < MOST_RUNS) {
    let hasShrunk = false;
    for (let start = 0; start < best.kept.length && runs < MOST_RUNS; ) {
      const rest = best.kept.toSpliced(start, size);
      if (rest.length > 0 && (await stillBreaks(rest))) hasShrunk = true;
      else start += size;
    }
    if (size === 1 && !hasShrunk) break;
    size = size === 1 ? 1 : Math.ceil(size / 2);
  }
  return { ...best, runs };
}
