import type { Entropy } from "./entropy.ts";

/** How waits grow from one failure to the next. */
export interface Backoff {
  /** Wait after the first failure, before jitter. Milliseconds. */
  readonly initialMs: number;
  /** No wait is longer than this. Milliseconds. */
  readonly maxMs: number;
  /** Each wait is this many times the one before. At least 1. */
  readonly factor: number;
}

/**
 * Whole milliseconds to wait after the `failures`-th failure in a row (1 is the first). Equal jitter: half of the grown wait is
 * sure, half is drawn, so that many clients neither come back together nor at once
 * (Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
 */
export function backoffMs(policy: Backoff, failures: number, entropy: Entropy): number {
  const grown = Math.min(policy.maxMs, policy.initialMs * policy.factor ** Math.max(0, failures - 1));
  return Math.round(grown / 2 + (grown / 2) * entropy.uniform());
}
