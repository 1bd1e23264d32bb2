import { type Backoff, backoffMs, type Clock, type Entropy, type Timer } from "#pkg/clock/index.ts";

/** How long a target rests after it refused a create for now and named no time. */
const REFUSAL_BACKOFF: Backoff = { initialMs: 1_000, maxMs: 60_000, factor: 2 };

export interface CreateGateOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Creates that may be under way at once. */
  readonly places: number;
}

/**
 * Lets creates to one target through: a bounded number at once, by priority and then in order of asking, and none while
 * the target backs off.
 */
export interface CreateGate {
  /** Resolves with what gives the place back. Rejects with the signal's reason when that aborts first. */
  enter(priority: number, signal: AbortSignal): Promise<() => void>;
  /** The target refused for now. Answers when the next try may be, in wall clock milliseconds. */
  refused(retryAfterMs: number | undefined): number;
  /** The target took one: the next refusal rests the shortest time again. */
  accepted(): void;
  readonly isBackingOff: boolean;
}

interface Waiting {
  readonly priority: number;
  readonly order: number;
  readonly enter: () => void;
}

export function createCreateGate(options: CreateGateOptions): CreateGate {
  const { clock, entropy, places } = options;
  const waiting = new Set<Waiting>();
  let inside = 0;
  let order = 0;
  let refusals = 0;
  let closedUntilMs = 0;
  let reopening: Timer | undefined;

  function isBackingOff(): boolean {
    return closedUntilMs > clock.monotonicMs();
  }

  /** Timers may fire a blink before the clock says so; then once more. */
  function admitWhenOpen(): void {
    reopening?.cancel();
    if (isBackingOff()) reopening = clock.timer(closedUntilMs - clock.monotonicMs(), admitWhenOpen);
    else admit();
  }

  function admit(): void {
    while (inside < places && waiting.size > 0 && !isBackingOff()) {
      const next = [...waiting].reduce((best, each) => (isBefore(each, best) ? each : best));
      waiting.delete(next);
      inside += 1;
      next.enter();
    }
  }

  function leaveOnce(): () => void {
    let left = false;
    return () => {
      if (left) return;
      left = true;
      inside -= 1;
      admit();
    };
  }

  return {
    enter(priority, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const onAbort = () => {
          waiting.delete(entry);
          reject(signal.reason);
        };
        const entry: Waiting = {
          priority,
          order: order++,
          enter: () => {
            signal.removeEventListener("abort", onAbort);
            resolve(leaveOnce());
          },
        };
        signal.addEventListener("abort", onAbort, { once: true });
        waiting.add(entry);
        admit();
      });
    },
    refused(retryAfterMs) {
      refusals += 1;
      const rest = Math.max(Math.ceil(retryAfterMs ?? 0), backoffMs(REFUSAL_BACKOFF, refusals, entropy));
      closedUntilMs = Math.max(closedUntilMs, clock.monotonicMs() + rest);
      admitWhenOpen();
      return clock.nowMs() + rest;
    },
    accepted() {
      refusals = 0;
    },
    get isBackingOff() {
      return isBackingOff();
    },
  };
}

function isBefore(a: Waiting, b: Waiting): boolean {
  return a.priority === b.priority ? a.order < b.order : a.priority > b.priority;
}
