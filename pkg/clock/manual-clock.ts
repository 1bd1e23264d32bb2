import type { Clock } from "./clock.ts";

/** A clock that moves only when told to; for tests of what depends on time. */
export interface ManualClock extends Clock {
  /** Moves both clocks on by `ms`, firing what falls due on the way in order of its time, with every promise settled between. */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, as a suspended machine's does when it wakes, or a corrected one's. */
  jumpWall(ms: number): void;
  /** How many sleeps and timers wait. */
  readonly pending: number;
}

interface Entry {
  readonly dueMs: number;
  readonly order: number;
  readonly fire: () => void;
}

/** @param startMs the wall clock's first answer; epoch milliseconds. */
export function createManualClock(startMs = 1_700_000_000_000): ManualClock {
  let monotonic = 0;
  let wallOffset = startMs;
  let order = 0;
  const entries = new Set<Entry>();

  const add = (ms: number, fire: () => void): Entry => {
    const entry = { dueMs: monotonic + Math.max(ms, 0), order: order++, fire };
    entries.add(entry);
    return entry;
  };
  // A macrotask runs after every promise that can settle without time passing has settled.
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

  return {
    // Whole milliseconds, as the wall clock of every machine tells them.
    nowMs: () => Math.floor(monotonic + wallOffset),
    monotonicMs: () => monotonic,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => {
          entries.delete(entry);
          reject(signal?.reason);
        };
        const entry = add(ms, () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        });
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    },
    timer(ms, callback) {
      const entry = add(ms, callback);
      return { cancel: () => void entries.delete(entry) };
    },
    yield: settle,
    async advance(ms) {
      const end = monotonic + ms;
      await settle();
      for (;;) {
        const next = [...entries].sort((a, b) => a.dueMs - b.dueMs || a.order - b.order)[0];
        if (next === undefined || next.dueMs > end) break;
        entries.delete(next);
        monotonic = Math.max(monotonic, next.dueMs);
        next.fire();
        await settle();
      }
      monotonic = end;
      await settle();
    },
    jumpWall(ms) {
      wallOffset += ms;
    },
    get pending() {
      return entries.size;
    },
  };
}
