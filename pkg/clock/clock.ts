/** A timer that has not fired yet. */
export interface Timer {
  /** Keeps the callback from being called; harmless after it was. */
  cancel(): void;
}

/** What time it is, and the only way to wait. */
export interface Clock {
  /** Wall clock, milliseconds since the Unix epoch. May jump either way. Never decides who owns a job. */
  nowMs(): number;
  /** Milliseconds since some fixed moment of this process. Never goes back; stands still while the machine is suspended. */
  monotonicMs(): number;
  /**
   * Resolves after `ms` milliseconds, at once when `ms` is not above 0 (still asynchronously).
   * Rejects with the signal's reason when it aborts before.
   */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `callback` once after `ms` milliseconds. A pending timer never keeps the process alive by itself. */
  timer(ms: number, callback: () => void): Timer;
  /** Resolves after the events that already wait (sockets, messages) were handled; so a long loop lets others in. */
  yield(): Promise<void>;
}

/** setTimeout holds its delay in 32 bits and fires at once above. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** A whole number, since setTimeout drops fractions and would fire early. */
function delayOf(ms: number): number {
  return Math.min(Math.max(Math.ceil(ms), 0), LONGEST_TIMER_MS);
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const onAbort = () => {
        clearTimeout(handle);
        reject(signal?.reason);
      };
      const handle = setTimeout(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve();
      }, delayOf(ms));
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
  timer(ms, callback) {
    const handle = setTimeout(callback, delayOf(ms));
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
  yield: () => new Promise((resolve) => setImmediate(resolve)),
};
