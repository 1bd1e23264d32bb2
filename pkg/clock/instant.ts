import type { Clock } from "./clock.ts";

/** One moment on both clocks, so that what passed since can be told even across a suspension of the machine. */
export interface Instant {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export function instantOf(clock: Clock): Instant {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() };
}

/** Milliseconds since `since` on whichever clock has moved further. Never too short, so it is safe where trust runs out. */
export function elapsedBothMs(clock: Clock, since: Instant): number {
  return Math.max(clock.monotonicMs() - since.monotonicMs, clock.nowMs() - since.wallMs);
}
