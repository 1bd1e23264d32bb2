import type { Clock } from "#pkg/clock/index.ts";
import type { Connection, Session } from "./connection.ts";
import { isSessionGone } from "./faults.ts";
import type { Allowance, Persist } from "./retry.ts";

/** Spanner ends a multiplexed session after 28 days, used or not. */
const RENEW_AFTER_MS = 7 * 24 * 3600 * 1_000;

export interface Sessions {
  read<T>(allowance: Allowance, work: (session: Session) => Promise<T>): Promise<T>;
  transact<T>(allowance: Allowance, work: (session: Session) => Promise<T>): Promise<T>;
  /** Persists at once, or, where sessions cannot be shared, when all transactions before are over. */
  inTurn<T>(persist: Persist, attempt: (allowance: Allowance) => Promise<T>): Promise<T>;
}

/**
 * One session for everything. A server that answers with a plain one instead (an emulator does) runs one transaction at a
 * time in it, so there transactions wait for each other and have a session apart from that of the reads.
 */
export function createSessions(connection: Connection, clock: Clock): Sessions {
  const shared = keepSession(connection, clock);
  const own = keepSession(connection, clock);
  let lane: Promise<void> = Promise.resolve();

  return {
    read: (allowance, work) => shared.use(allowance, work),
    async transact(allowance, work) {
      const { isMultiplexed } = await shared.get(allowance);
      return await (isMultiplexed ? shared : own).use(allowance, work);
    },
    async inTurn(persist, attempt) {
      const { isMultiplexed } = await persist(shared.get);
      if (isMultiplexed) return await persist(attempt);
      const before = lane;
      const turn = Promise.withResolvers<void>();
      lane = turn.promise;
      try {
        await before;
        return await persist(attempt);
      } finally {
        turn.resolve();
      }
    },
  };
}

function keepSession(connection: Connection, clock: Clock) {
  let kept: { readonly session: Promise<Session>; readonly sinceMs: number } | undefined;

  function get(allowance: Allowance): Promise<Session> {
    if (kept !== undefined && clock.monotonicMs() - kept.sinceMs < RENEW_AFTER_MS) return kept.session;
    const made = { session: connection.createSession(allowance.requestMs()), sinceMs: clock.monotonicMs() };
    kept = made;
    made.session.catch(() => {
      if (kept === made) kept = undefined;
    });
    return made.session;
  }

  return {
    get,
    async use<T>(allowance: Allowance, work: (session: Session) => Promise<T>): Promise<T> {
      const session = await get(allowance);
      const inUse = kept;
      try {
        return await work(session);
      } catch (error) {
        if (isSessionGone(error) && kept === inUse) kept = undefined;
        throw error;
      }
    },
  };
}
