import type { Clock } from "#pkg/clock/index.ts";
import type { Owner } from "#pkg/job/index.ts";

/** Why a worker cannot serve now: the whole set of words. */
export const NotReady = {
  Starting: "STARTING",
  Draining: "DRAINING",
  TermNotHeld: "TERM_NOT_HELD",
  StoreUnreachable: "STORE_UNREACHABLE",
} as const;
export type NotReady = (typeof NotReady)[keyof typeof NotReady];

/** The answer of `/ready`. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: NotReady };

export interface ReadinessSources {
  readonly clock: Clock;
  readonly isStarted: () => boolean;
  readonly isDraining: () => boolean;
  readonly owner: () => Owner | undefined;
  /** Resolves when the store answers. */
  readonly ping: () => Promise<void>;
}

/** A store that takes longer cannot serve a caller either. Shorter than what probes wait. */
const PING_TIMEOUT_MS = 1000;

/** Makes the check. Concurrent checks share one ping, so that probes, however many, ask the store one thing at a time. */
export function createReadiness(sources: ReadinessSources): () => Promise<Readiness> {
  let pinging: Promise<boolean> | undefined;

  function answers(): Promise<boolean> {
    pinging ??= ping(sources).finally(() => {
      pinging = undefined;
    });
    return pinging;
  }

  return async () => {
    if (sources.isDraining()) return not(NotReady.Draining);
    if (!sources.isStarted()) return not(NotReady.Starting);
    if (!(await answers())) return not(NotReady.StoreUnreachable);
    return sources.owner() === undefined ? not(NotReady.TermNotHeld) : { ready: true };
  };
}

function not(reason: NotReady): Readiness {
  return { ready: false, reason };
}

/** Whether the store answered in time; what it said when it did not is its own calls' to log. */
async function ping({ clock, ping: ask }: ReadinessSources): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = clock.timer(PING_TIMEOUT_MS, () => late.resolve(false));
  const answered = ask().then(
    () => true,
    () => false,
  );
  try {
    return await Promise.race([answered, late.promise]);
  } finally {
    timer.cancel();
  }
}
