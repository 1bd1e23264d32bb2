import { unlessAborted } from "#pkg/clock/index.ts";
import { InvariantError } from "#pkg/errors/index.ts";

/**
 * NEW → STARTING → RUNNING → DRAINING → STOPPING → STOPPED. A failed start goes through STOPPING to STOPPED, and so
 * does a stop that comes first (NEW → STOPPED without a start). A stopped service is not started again: make another.
 */
export const ServiceState = {
  New: "NEW",
  Starting: "STARTING",
  Running: "RUNNING",
  Draining: "DRAINING",
  Stopping: "STOPPING",
  Stopped: "STOPPED",
} as const;
export type ServiceState = (typeof ServiceState)[keyof typeof ServiceState];

/** Something that runs. */
export interface Service {
  readonly name: string;
  readonly state: ServiceState;
  /** Resolves when the service serves; rejects with what kept it from it, after taking back what had begun. */
  start(): Promise<void>;
  /**
   * Takes in nothing new and resolves when what was in flight is done. Rejects with the signal's reason when that aborts
   * first; the service is then as far as it got, and `stop` ends it. Does nothing unless the service runs.
   */
  drain(signal: AbortSignal): Promise<void>;
  /** Ends everything, finished or not, and resolves when nothing runs any more. Never rejects on a second call. */
  stop(): Promise<void>;
}

/**
 * What a service is made of; each is called at most once, and all but `start` may be left out. One begins when the other is
 * over, but for a `drain` whose signal aborts: `stop` is called while that is still at it, and has to end what it waits for.
 */
export interface ServiceParts {
  readonly name: string;
  /** `signal` aborts when `stop` is called while the start is under way. */
  start(signal: AbortSignal): Promise<void>;
  /** Need not heed `signal`: nobody waits for it once that aborts. */
  drain?(signal: AbortSignal): Promise<void>;
  /** Also called after a start that failed, so it must cope with any part of it missing. */
  stop?(): Promise<void>;
}

/** Makes a `Service` of its parts, adding the states above. */
export function createService(parts: ServiceParts): Service {
  let state: ServiceState = ServiceState.New;
  let starting: Promise<void> | undefined;
  let draining: Promise<void> | undefined;
  let ending: Promise<void> | undefined;
  let stopping: Promise<void> | undefined;
  const stopRequested = new AbortController();

  async function start(): Promise<void> {
    state = ServiceState.Starting;
    try {
      await parts.start(stopRequested.signal);
      stopRequested.signal.throwIfAborted();
      state = ServiceState.Running;
    } catch (error) {
      await end();
      throw error;
    }
  }

  function end(): Promise<void> {
    // A failed start and a stop called meanwhile are one end.
    ending ??= (async () => {
      state = ServiceState.Stopping;
      try {
        await parts.stop?.();
      } finally {
        state = ServiceState.Stopped;
      }
    })();
    return ending;
  }

  async function drain(signal: AbortSignal): Promise<void> {
    state = ServiceState.Draining;
    if (parts.drain !== undefined) await unlessAborted(parts.drain(signal), signal);
  }

  async function stop(): Promise<void> {
    stopRequested.abort(new InvariantError(`${parts.name} was stopped`));
    if (starting === undefined) {
      state = ServiceState.Stopped;
      return;
    }
    // A start that fails stops the service itself, and tells its own caller why.
    await starting.catch(() => undefined);
    // The drain's own caller hears of its failure; here only its end matters, which the signal's abort is, too.
    await draining?.catch(() => undefined);
    await end();
  }

  return {
    name: parts.name,
    get state() {
      return state;
    },
    start() {
      if (stopRequested.signal.aborted && starting === undefined) {
        return Promise.reject(new InvariantError(`${parts.name} was stopped and cannot be started`));
      }
      starting ??= start();
      return starting;
    },
    drain(signal) {
      if (state !== ServiceState.Running) return draining ?? Promise.resolve();
      draining ??= drain(signal);
      return draining;
    },
    stop() {
      stopping ??= stop();
      return stopping;
    },
  };
}
