import { type Backoff, backoffMs, type Clock, type Entropy } from "#pkg/clock/index.ts";

/** How long the calls rest after the cloud asked for fewer and named no time. */
const THROTTLE_BACKOFF: Backoff = { initialMs: 1_000, maxMs: 60_000, factor: 2 };

export interface CallBudgetOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Calls that this process may make in a second, asked at each call; it shrinks as more workers share the account. */
  readonly callsPerSecond: () => number;
}

/** What one process may ask of one cloud account: calls are spaced, and all of them rest when the cloud says "slower". */
export interface CallBudget {
  /** Resolves when the next call may leave, in the order of asking. Rejects with the signal's reason when that aborts. */
  take(signal: AbortSignal): Promise<void>;
  /**
   * A request left that no `take` was for: the next call waits for it as well. It waits for nothing itself, so that no call
   * under way spends its deadline here.
   */
  spend(): void;
  /** The cloud refused a call for there being too many. @param retryAfterMs what it asked for, if anything. */
  throttled(retryAfterMs: number | undefined): void;
  /** The cloud answered: the next throttling begins at the shortest rest again. */
  answered(): void;
}

export function createCallBudget(options: CallBudgetOptions): CallBudget {
  const { clock, entropy } = options;
  let nextMs = 0;
  let throttlings = 0;

  return {
    async take(signal) {
      for (;;) {
        signal.throwIfAborted();
        const now = clock.monotonicMs();
        if (nextMs <= now) {
          nextMs = now + 1_000 / options.callsPerSecond();
          return;
        }
        await clock.sleep(nextMs - now, signal);
      }
    },
    spend() {
      nextMs = Math.max(nextMs, clock.monotonicMs()) + 1_000 / options.callsPerSecond();
    },
    throttled(retryAfterMs) {
      throttlings += 1;
      const drawn = backoffMs(THROTTLE_BACKOFF, throttlings, entropy);
      // Jitter on top of what was asked for, so that workers told the same do not come back together.
      const rest = retryAfterMs === undefined ? drawn : retryAfterMs * (1 + entropy.uniform() / 4);
      nextMs = Math.max(nextMs, clock.monotonicMs() + rest);
    },
    answered() {
      throttlings = 0;
    },
  };
}
