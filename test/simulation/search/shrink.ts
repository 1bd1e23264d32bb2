import type { Violation } from "#test/simulation/promises/promise.ts";
import { runSeed } from "./run-seed.ts";

/** A schedule that breaks a promise, and is shorter than the one that was found. */
export interface Shrunk {
  /** What takes part: workers, jobs, what callers do, faults and accidents, by id. */
  readonly kept: readonly string[];
  readonly violation: Violation;
  /** No single step of it can go. False when the runs did not suffice to see that. */
  readonly isMinimal: boolean;
  /** How many worlds were run for it. */
  readonly runs: number;
}

/** A shrinking that has not come to its end by then answers with what it has. */
const MOST_RUNS = 500;

/**
 * Leaves out of a failing schedule whatever is not needed for the same promise to break: halves, quarters, … single steps,
 * until no single one can go (delta debugging; Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
 * IEEE TSE 2002), then pairs, with what is left of the runs: of two that make up for each other neither can go alone.
 * What is left out changes what happens after it, so each try is a world of its own.
 */
export async function shrink(
  seed: number,
  violation: Violation,
  struck: readonly string[],
  onRun: (kept: number, runs: number) => void = () => undefined,
): Promise<Shrunk> {
  let best: Shrunk = { kept: [...new Set(struck)], violation, isMinimal: false, runs: 0 };
  let runs = 0;

  /** Whether the promise breaks with these alone; then they are the best so far. */
  async function stillBreaks(kept: readonly string[]): Promise<boolean> {
    runs += 1;
    const allowed = new Set(kept);
    const end = await runSeed(seed, (id) => allowed.has(id));
    onRun(best.kept.length, runs);
    if (end.violation?.promise !== violation.promise) return false;
    const happened = new Set(end.struck);
    best = { kept: kept.filter((id) => happened.has(id)), violation: end.violation, isMinimal: false, runs };
    return true;
  }

  /** Answers whether no single step can go. */
  async function leaveOutRuns(): Promise<boolean> {
    let size = Math.max(1, Math.ceil(best.kept.length / 2));
    for (;;) {
      let hasShrunk = false;
      for (let start = 0; start < best.kept.length; ) {
        if (runs >= MOST_RUNS) return false;
        const rest = best.kept.toSpliced(start, size);
        if (rest.length > 0 && (await stillBreaks(rest))) hasShrunk = true;
        else start += size;
      }
      if (size === 1 && !hasShrunk) return true;
      size = Math.ceil(size / 2);
    }
  }

  /** Answers whether a pair could go. */
  async function leaveOutPair(): Promise<boolean> {
    const all = best.kept;
    for (const [index, one] of all.entries()) {
      for (const other of all.slice(index + 1)) {
        if (runs >= MOST_RUNS) return false;
        if (await stillBreaks(all.filter((id) => id !== one && id !== other))) return true;
      }
    }
    return false;
  }

  let isMinimal = await leaveOutRuns();
  while (isMinimal && (await leaveOutPair())) isMinimal = await leaveOutRuns();
  return { ...best, isMinimal, runs };
}
