/**
 * Time and randomness, injected. Nothing outside this package touches timers, `Date` or `Math.random`, so that tests and
 * simulations decide what time it is and what the dice show.
 *
 * Moments are epoch milliseconds on the wall clock; durations are milliseconds; what must not jump is measured with
 * `monotonicMs`. A machine that was suspended stands still on the monotonic clock and jumps on the wall clock.
 */
export { type Backoff, backoffMs } from "./backoff.ts";
export { type Clock, systemClock, type Timer } from "./clock.ts";
export { createSeededEntropy, type Entropy, systemEntropy } from "./entropy.ts";
export { elapsedBothMs, type Instant, instantOf } from "./instant.ts";
export { createManualClock, type ManualClock } from "./manual-clock.ts";
export { withTimeout } from "./timeout.ts";
export { unlessAborted } from "./unless-aborted.ts";
