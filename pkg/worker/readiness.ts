import type { Clock } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import type { Owner } from "#pkg/job/index.ts";
import { STORE_REFUSED } from "#pkg/store/index.ts";

/** Why a worker cannot serve now: the whole set of words. Of the first three it comes through by itself, or ends. */
export const NotReady = {
  /** At the start, until the database answers. */
  OpeningStore: "OPENING_STORE",
  /** At the start, until the cloud does. */
  CheckingProvider: "CHECKING_PROVIDER",
  /** At the start: what is left of it. */
  Starting: "STARTING",
  Draining: "DRAINING",
  /** Its term was ended by a peer, or it has not begun one yet. */
  TermNotHeld: "TERM_NOT_HELD",
  /** The database does not answer. */
  StoreUnreachable: "STORE_UNREACHABLE",
  /** The database answers, and turns the worker away: no permission, no credentials, no such database, no table. */
  StoreRefuses: "STORE_REFUSES",
} as const;
export type NotReady = (typeof NotReady)[keyof typeof NotReady];

/** The answer of `/ready`. */
export type Readiness = { readonly ready: true } | { readonly ready: false; readonly reason: NotReady };

export interface ReadinessSources {
  readonly clock: Clock;
  /** What the start waits for; undefined once it is done. */
  readonly waitsFor: () => NotReady | undefined;
  readonly isDraining: () => boolean;
  readonly owner: () => Owner | undefined;
  /** Resolves when the store answers. */
  readonly ping: () => Promise<void>;
}

/** A store that takes longer cannot serve a caller either. Shorter than what probes wait. */
const PING_TIMEOUT_MS = 1000;

/** Makes the check. Concurrent checks share one ping, so that probes, however many, ask the store one thing at a time. */
export function createReadiness(sources: ReadinessSources): () => Promise<Readiness> {
  let pinging: Promise<NotReady | undefined> | undefined;

  function storeFault(): Promise<NotReady | undefined> {
    pinging ??= ping(sources).finally(() => {
      pinging = undefined;
    });
    return pinging;
  }

  return async () => {
    if (sources.isDraining()) return not(NotReady.Draining);
    const waitsFor = sources.waitsFor();
    if (waitsFor !== undefined) return not(waitsFor);
    const fault = await storeFault();
    if (fault !== undefined) return not(fault);
    return sources.owner() === undefined ? not(NotReady.TermNotHeld) : { ready: true };
  };
}

function not(reason: NotReady): Readiness {
  return { ready: false, reason };
}

/** What is wrong with the store, if it did not answer in time; what it said is its own calls' to log. */
async function ping({ clock, ping: ask }: ReadinessSources): Promise<NotReady | undefined> {
  const late = Promise.withResolvers<NotReady>();
  const timer = clock.timer(PING_TIMEOUT_MS, () => late.resolve(NotReady.StoreUnreachable));
  const answered = ask().then(() => undefined, wordFor);
  try {
    return await Promise.race([answered, late.promise]);
  } finally {
    timer.cancel();
  }
}

/** Whatever is not about the way to the database came from it. */
function wordFor(error: unknown): NotReady {
  const isOnTheWay = error instanceof UnavailableError && error.reason !== STORE_REFUSED;
  return isOnTheWay ? NotReady.StoreUnreachable : NotReady.StoreRefuses;
}
