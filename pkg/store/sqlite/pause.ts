import { systemClock, systemEntropy } from "#pkg/clock/index.ts";

/** How long a call waits for other processes' locks before it gives up: far above any commit, far below any lease's patience. */
export const MAX_WAIT_MS = 30_000;

const SHORT_MS = 0.2;
const LONG_MS = 4;
/** So many short waits make up about a tenth of a second; a lock that is held longer is not a commit's. */
const SHORT_WAITS = 250;

const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Blocks this thread for a moment, drawn at random so that no two waiters keep step: 0.2 to 0.6 ms at first, 4 to 12 ms
 * once the lock has been held too long for a commit. `Atomics.wait` because a timer cannot be that short.
 */
export function pause(waits: number): void {
  const least = waits < SHORT_WAITS ? SHORT_MS : LONG_MS;
  Atomics.wait(never, 0, 0, least * (1 + 2 * systemEntropy.uniform()));
}

/** Tries until it succeeds or `MAX_WAIT_MS` have passed; undefined in that case. */
export function untilFree<T>(attempt: () => T | undefined): T | undefined {
  const givesUpAtMs = systemClock.monotonicMs() + MAX_WAIT_MS;
  for (let waits = 0; ; waits++) {
    const result = attempt();
    if (result !== undefined) return result;
    if (systemClock.monotonicMs() > givesUpAtMs) return undefined;
    pause(waits);
  }
}
