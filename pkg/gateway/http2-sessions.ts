import { type ClientHttp2Session, connect } from "node:http2";
import type { Clock } from "#pkg/clock/index.ts";

/** A session to a worker, and what is known of it. */
export interface WorkerSession {
  readonly session: ClientHttp2Session;
  /** Streams that this process has open on it. */
  openStreams: number;
  /** Streams above this id were not taken; undefined while the worker has not said goodbye. */
  goawayLastId: number | undefined;
}

/** The HTTP/2 sessions to one worker, opened when needed. */
export interface Http2Sessions {
  /** One that takes another stream; it may still be connecting. */
  acquire(): WorkerSession;
  destroy(): void;
}

/** Assumed until the worker has told its own, and never exceeded: as many windows as fit into a session's memory. */
const MAX_STREAMS = 100;

/** @param connectMs after which a connection that is not made counts as refused. */
export function createHttp2Sessions(url: URL, clock: Clock, connectMs: number): Http2Sessions {
  const sessions = new Set<WorkerSession>();

  function hasRoom({ session, openStreams, goawayLastId }: WorkerSession): boolean {
    const limit = session.connecting ? MAX_STREAMS : session.remoteSettings.maxConcurrentStreams;
    return (
      !session.closed &&
      !session.destroyed &&
      goawayLastId === undefined &&
      openStreams < Math.min(limit ?? MAX_STREAMS, MAX_STREAMS)
    );
  }

  function open(): WorkerSession {
    const session = connect(url, { settings: { enablePush: false } });
    const entry: WorkerSession = { session, openStreams: 0, goawayLastId: undefined };
    const timer = clock.timer(connectMs, () => {
      if (session.connecting) session.destroy(new Error(`no connection within ${connectMs} ms`));
    });
    session.on("connect", () => timer.cancel());
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

  return {
    acquire() {
      for (const entry of sessions) if (hasRoom(entry)) return entry;
      return open();
    },
    destroy() {
      for (const { session } of sessions) session.destroy();
      sessions.clear();
    },
  };
}
