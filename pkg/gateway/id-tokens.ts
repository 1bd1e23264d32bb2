import type { Clock } from "#pkg/clock/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { IdToken, MetadataServer } from "./metadata-server.ts";

/** The ID tokens of this process, one for each audience, kept until shortly before they expire. */
export interface IdTokens {
  /**
   * The token for an audience: at once where one is held, else when the metadata server has given it. One that nears its
   * end is replaced in the background meanwhile. Rejects when there is none to be had.
   */
  tokenFor(audience: string): string | Promise<string>;
  /** Its audience refused it: it is not given again. */
  discard(audience: string, jwt: string): void;
  /** Ends what is in flight. */
  destroy(): Promise<void>;
}

export interface IdTokensOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly server: MetadataServer;
}

/** The server gives the token that it gave before until five minutes before its end; asked later it has a new one. */
const REFRESH_BEFORE_MS = 4 * 60_000;
/** A token must outlive its way to whoever checks it, and the difference between the two clocks. */
const UNUSABLE_BEFORE_MS = 30_000;
/** After an answer nobody asks for the same audience again for as long: a failure is not repeated for every call. */
const PAUSE_MS = 1000;

interface Entry {
  held: IdToken | undefined;
  /** Wall clock; tokens expire by it, also while a machine is suspended. */
  usableUntilMs: number;
  /** The one request under way. */
  flight: Promise<string> | undefined;
  failure: unknown;
  /** Monotonic; nobody asks before. */
  pauseUntilMs: number;
}

export function createIdTokens({ clock, log, server }: IdTokensOptions): IdTokens {
  const entries = new Map<string, Entry>();
  const ending = new AbortController();

  function entryOf(audience: string): Entry {
    let entry = entries.get(audience);
    if (entry === undefined) {
      entry = {
        held: undefined,
        usableUntilMs: 0,
        flight: undefined,
        failure: undefined,
        pauseUntilMs: Number.NEGATIVE_INFINITY,
      };
      entries.set(audience, entry);
    }
    return entry;
  }

  /** Joins the request under way, or begins one; right after a failure it is that failure again. */
  function ask(audience: string, entry: Entry): Promise<string> {
    if (entry.flight === undefined && entry.failure !== undefined && isPausing(entry)) {
      return Promise.reject(entry.failure);
    }
    entry.flight ??= fetchInto(audience, entry).finally(() => {
      entry.flight = undefined;
      entry.pauseUntilMs = clock.monotonicMs() + PAUSE_MS;
    });
    return entry.flight;
  }

  async function fetchInto(audience: string, entry: Entry): Promise<string> {
    try {
      const token = await server.fetchIdToken(audience, ending.signal);
      if (entry.failure !== undefined) log.info({ audience }, "ID tokens can be had again");
      entry.failure = undefined;
      entry.held = token;
      // What was just given is used at least for the pause, whatever this machine's clock says: its audience will judge.
      entry.usableUntilMs = Math.max(token.expiresAtMs - UNUSABLE_BEFORE_MS, clock.nowMs() + PAUSE_MS);
      return token.jwt;
    } catch (error) {
      if (entry.failure === undefined && !ending.signal.aborted) {
        log.warn({ audience, err: error }, "no ID token can be had");
      }
      entry.failure = error;
      throw error;
    }
  }

  function isPausing(entry: Entry): boolean {
    return clock.monotonicMs() < entry.pauseUntilMs;
  }

  return {
    tokenFor(audience) {
      const entry = entryOf(audience);
      const { held } = entry;
      const nowMs = clock.nowMs();
      if (held === undefined || nowMs >= entry.usableUntilMs) return ask(audience, entry);
      if (nowMs >= held.expiresAtMs - REFRESH_BEFORE_MS && !isPausing(entry)) {
        // It was logged, and the token that is held still serves.
        ask(audience, entry).catch(() => undefined);
      }
      return held.jwt;
    },
    discard(audience, jwt) {
      const entry = entryOf(audience);
      if (entry.held?.jwt === jwt) entry.held = undefined;
    },
    async destroy() {
      ending.abort(new Error("the gateway stops"));
      await Promise.allSettled([...entries.values()].map(({ flight }) => flight));
      await server.destroy();
    },
  };
}
