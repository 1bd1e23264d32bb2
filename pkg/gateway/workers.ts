import { Pool } from "undici";
import { type Clock, unlessAborted } from "#pkg/clock/index.ts";
import { SERVERLESS_AUTHORIZATION } from "./headers.ts";
import { visitHttp1 } from "./http1-visit.ts";
import { createHttp2Sessions, type Http2Sessions } from "./http2-sessions.ts";
import { visitHttp2 } from "./http2-visit.ts";
import type { IdTokens } from "./id-tokens.ts";
import type { Outgoing, Visit, VisitListener } from "./visit.ts";

/** Where a worker is. */
export interface WorkerAddress {
  /** Its name on the ring; keeps its tenants when its url changes. */
  readonly name: string;
  /** An origin: `http://host:8081`, `https://worker-1.example`. */
  readonly url: URL;
}

/** A call in flight at a worker. */
export interface Guest {
  /** The worker turned unready; whoever may, goes elsewhere. */
  workerLost(): void;
}

/** A worker as the gateway sees it. */
export interface Worker {
  readonly name: string;
  readonly isReady: boolean;
  readonly guests: Set<Guest>;
  /** Changes readiness; turning unready tells the guests, and further calls open new HTTP/2 sessions. */
  setReady(isReady: boolean): void;
  /**
   * What its front door must be shown with each call; undefined where it asks for nothing. A promise where that must be had
   * first; it rejects when there is none to be had.
   */
  credential(): string | undefined | Promise<string>;
  visit(overHttp2: boolean, call: Outgoing, listener: VisitListener): Visit;
  /** The status of its `/ready`. Rejects when it cannot be asked. */
  probe(signal: AbortSignal): Promise<number>;
  /** Closes its connections; what is in flight fails. */
  destroy(): Promise<void>;
}

/** How long a connection may take to be made; a host that is gone answers nothing at all. */
const CONNECT_MS = 3000;
const UNAUTHORIZED = 401;

/** @param idTokens undefined where the worker asks for none. */
export function createWorker(
  { name, url }: WorkerAddress,
  clock: Clock,
  idTokens: IdTokens | undefined,
): Worker {
  const pool = new Pool(url.origin, {
    // Deadlines are the callers' and the gateway's; a stream may be quiet for hours.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_MS, keepAlive: true },
    // Workers keep a connection for longer, and say for how long: it is this side that closes an idle one.
    keepAliveTimeout: 10_000,
    // What goes over HTTP/1.1 stays there: https would have undici choose HTTP/2 by itself.
    allowH2: false,
  });
  const sessions: Http2Sessions = createHttp2Sessions(url, clock, CONNECT_MS);
  const guests = new Set<Guest>();
  let isReady = false;

  function credential(): string | undefined | Promise<string> {
    const token = idTokens?.tokenFor(url.origin);
    return token instanceof Promise ? token.then(bearer) : token && bearer(token);
  }

  return {
    name,
    get isReady() {
      return isReady;
    },
    guests,
    setReady(next) {
      const wasReady = isReady;
      isReady = next;
      if (!wasReady || next) return;
      // When it is back it may be another process: of connections to one that vanished nobody says that they are dead.
      sessions.retireAll();
      for (const guest of [...guests]) guest.workerLost();
    },
    credential,
    visit: (overHttp2, call, listener) =>
      overHttp2
        ? visitHttp2(sessions, url, clock, call, listener)
        : visitHttp1(pool, url.host, call, listener),
    async probe(signal) {
      const token = await unlessAborted(idTokens?.tokenFor(url.origin), signal);
      const headers = token === undefined ? {} : { [SERVERLESS_AUTHORIZATION]: bearer(token) };
      const { statusCode, body } = await pool.request({ method: "GET", path: "/ready", headers, signal });
      await body.dump({ limit: 64 * 1024, signal });
      // The front door's word counts, not what the token says of itself by this machine's clock.
      if (statusCode === UNAUTHORIZED && token !== undefined) idTokens?.discard(url.origin, token);
      return statusCode;
    },
    async destroy() {
      sessions.destroy();
      await pool.destroy();
    },
  };
}

function bearer(token: string): string {
  return `Bearer ${token}`;
}
