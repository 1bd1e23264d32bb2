import { type ClientHttp2Session, connect } from "node:http2";
import type { Socket } from "node:net";
import type { Clock } from "#pkg/clock/index.ts";

/** A session to a worker, and what is known of it. */
export interface WorkerSession {
  readonly session: ClientHttp2Session;
  /** Streams that this process has open on it. */
  openStreams: number;
  /** Streams above this id were not taken; undefined while the worker has not said goodbye. */
  goawayLastId: number | undefined;
  /** Gets no further stream, and closes with the last that it has. */
  isRetired: boolean;
}

/** The HTTP/2 sessions to one worker, opened when needed. */
export interface Http2Sessions {
  /** One that takes another stream; it may still be connecting. */
  acquire(): WorkerSession;
  /** One of its streams closed. */
  release(entry: WorkerSession): void;
  retire(entry: WorkerSession): void;
  /** Retires all that are open. */
  retireAll(): void;
  destroy(): void;
}

/** Assumed until the worker has told its own, and never exceeded: as many windows as fit into a session's memory. */
const MAX_STREAMS = 100;

/** From the last sign of life to the first question for another; the system asks a few times more before it gives up. */
const KEEP_ALIVE_MS = 60_000;

/** @param connectMs after which a connection that is not made counts as refused. */
export function createHttp2Sessions(url: URL, clock: Clock, connectMs: number): Http2Sessions {
  const sessions = new Set<WorkerSession>();
  const sockets = new Set<Socket>();

  function hasRoom({ session, openStreams, goawayLastId, isRetired }: WorkerSession): boolean {
    const limit = session.connecting ? MAX_STREAMS : session.remoteSettings.maxConcurrentStreams;
    return (
      !isRetired &&
      !session.closed &&
      !session.destroyed &&
      goawayLastId === undefined &&
      openStreams < Math.min(limit ?? MAX_STREAMS, MAX_STREAMS)
    );
  }

  function open(): WorkerSession {
    const session = connect(url, { settings: { enablePush: false } });
    const entry: WorkerSession = { session, openStreams: 0, goawayLastId: undefined, isRetired: false };
    const timer = clock.timer(connectMs, () => {
      if (session.connecting) session.destroy(new Error(`no connection within ${connectMs} ms`));
    });
    session.on("connect", (_session, socket) => {
      timer.cancel();
      // A host that vanishes under a quiet stream is noticed by nothing else.
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    });
    session.on("goaway", (_code, lastStreamId) => {
      entry.goawayLastId = lastStreamId;
    });
    // Its streams fail with it, and tell.
    session.on("error", () => undefined);
    session.on("close", () => {
      timer.cancel();
      sessions.delete(entry);
    });
    sessions.add(entry);
    return entry;
  }

  function retire(entry: WorkerSession): void {
    entry.isRetired = true;
    // Not while it has any: what was asked of it just now would be refused after its goodbye.
    if (entry.openStreams === 0) entry.session.close();
  }

  return {
    acquire() {
      for (const entry of sessions) if (hasRoom(entry)) return entry;
      return open();
    },
    release(entry) {
      entry.openStreams--;
      if (entry.isRetired) retire(entry);
    },
    retire,
    retireAll() {
      for (const entry of sessions) retire(entry);
    },
    destroy() {
      for (const { session } of sessions) session.destroy();
      // A session that closed by itself waits for its worker to close too, which one that is gone never does.
      for (const socket of sockets) socket.destroy();
    },
  };
}
