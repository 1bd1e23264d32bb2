import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import type { Socket } from "node:net";
import type { Clock, Timer } from "#pkg/clock/index.ts";

/**
 * Closes a session that has had no live stream for `idleMs`, and none that closed: what it has are whole replies that its
 * peer does not take, or nothing. A quiet stream keeps its session. One timer a session, set anew when it fires too early,
 * not with each stream.
 *
 * @param socket the session's own: a session that is closed or destroyed waits for its peer, however long.
 */
export function watchIdle(session: ServerHttp2Session, socket: Socket, clock: Clock, idleMs: number): void {
  const open = new Set<ServerHttp2Stream>();
  let idleSinceMs = clock.monotonicMs();
  let timer: Timer = clock.timer(idleMs, onTimer);

  function onTimer(): void {
    if (open.values().some((stream) => !stream.writableEnded)) idleSinceMs = clock.monotonicMs();
    const leftMs = idleSinceMs + idleMs - clock.monotonicMs();
    if (leftMs > 0) timer = clock.timer(leftMs, onTimer);
    else if (session.closed) socket.destroy();
    else {
      session.close();
      // A peer that neither reads its GOAWAY nor closes is not waited for either.
      timer = clock.timer(idleMs, onTimer);
    }
  }

  session.on("stream", (stream) => {
    open.add(stream);
    stream.once("close", () => {
      open.delete(stream);
      idleSinceMs = clock.monotonicMs();
    });
  });
  session.once("close", () => timer.cancel());
}
