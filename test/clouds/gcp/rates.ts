import type { Clock } from "#pkg/clock/index.ts";

/** Calls a minute, over any sixty seconds. */
export interface Rate {
  /** Counts a call; false when it is one too many, which is then not counted. */
  take(): boolean;
  /** The most that any minute held. */
  readonly peak: number;
}

export function createRate(clock: Clock, perMinute: number): Rate {
  const calls: number[] = [];
  let peak = 0;
  return {
    take() {
      const now = clock.monotonicMs();
      while (calls[0] !== undefined && calls[0] <= now - 60_000) calls.shift();
      if (calls.length >= perMinute) return false;
      calls.push(now);
      peak = Math.max(peak, calls.length);
      return true;
    },
    get peak() {
      return peak;
    },
  };
}
