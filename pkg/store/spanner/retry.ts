import { type Backoff, backoffMs, type Clock, type Entropy } from "#pkg/clock/index.ts";
import { faultOf, Remedy, remedyOf, retryDelayMsOf } from "./faults.ts";

/** An operation that says nothing else ends within this and one request's time, whatever Spanner does. Milliseconds. */
const OPERATION_MS = 10_000;
/** No single request waits longer for its answer. Milliseconds. */
const REQUEST_MS = 5_000;
/** How often a try may find the connection broken: an outage is told soon, the end of one old connection not at all. */
const BROKEN_TRIES = 3;
/** Between tries. The client's own waits begin at a second, which is long for a transaction that takes ten milliseconds. */
const BETWEEN_TRIES: Backoff = { initialMs: 10, maxMs: 1_000, factor: 2 };

/** How long the requests of one operation may still take. */
export interface Allowance {
  /** For the next request, in milliseconds; at least 1. */
  requestMs(): number;
  /** Whether another try has no time left. */
  readonly isSpent: boolean;
  /** Waits as long as is fit between two tries; longer each time. */
  pause(): Promise<void>;
}

/** Tries an operation until it is done, it cannot be, or `withinMs` is over. */
export type Persist = <T>(attempt: (allowance: Allowance) => Promise<T>, withinMs?: number) => Promise<T>;

export interface Retry {
  readonly persist: Persist;
  /** Lets nothing more be tried, and resolves when what is under way has ended. */
  close(reason: Error): Promise<void>;
}

export interface RetryOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
}

/**
 * The one place where anything is tried again; the client's own retries are off. Aborted transactions come again until
 * their time is over, each time after what the server asks for and a jittered, growing wait besides.
 */
export function createRetry({ clock, entropy }: RetryOptions): Retry {
  const closing = new AbortController();
  const closed = closing.signal;
  const underWay = new Set<Promise<unknown>>();

  async function tryOn<T>(attempt: (allowance: Allowance) => Promise<T>, withinMs: number): Promise<T> {
    const endMs = clock.monotonicMs() + withinMs;
    let pauses = 0;
    const pause = (askedMs = 0) => clock.sleep(askedMs + backoffMs(BETWEEN_TRIES, ++pauses, entropy), closed);
    const allowance: Allowance = {
      requestMs: () => Math.max(1, Math.min(REQUEST_MS, endMs - clock.monotonicMs())),
      get isSpent() {
        return clock.monotonicMs() >= endMs;
      },
      pause: () => pause(),
    };
    for (let broken = 0; ; ) {
      closed.throwIfAborted();
      try {
        return await attempt(allowance);
      } catch (error) {
        const remedy = remedyOf(error);
        if (remedy === Remedy.FewTries) broken++;
        const askedMs = retryDelayMsOf(error) ?? 0;
        const isTooLate = clock.monotonicMs() + askedMs >= endMs;
        if (remedy === Remedy.None || broken === BROKEN_TRIES || isTooLate) throw faultOf(error);
        await pause(askedMs);
      }
    }
  }

  return {
    async persist(attempt, withinMs = OPERATION_MS) {
      const operation = tryOn(attempt, withinMs);
      underWay.add(operation);
      try {
        return await operation;
      } finally {
        underWay.delete(operation);
      }
    },
    async close(reason) {
      closing.abort(reason);
      await Promise.allSettled(underWay);
    },
  };
}
