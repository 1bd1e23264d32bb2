import type { ServerHttp2Session } from "node:http2";
import type { Clock, Timer } from "#pkg/clock/index.ts";

/**
 * Closes a session that has had no open stream for `idleMs`; a quiet stream keeps its session. One timer a session, set
 * anew when it fires too early, not with each stream.
 */
export function watchIdle(session: ServerHttp2Session, clock: Clock, idleMs: number): void {
  let open = 0;
  let idleSinceMs = clock.monotonicMs();
  let timer: Timer = clock.timer(idleMs, onTimer);

  function onTimer(): void {
    const leftMs = open > 0 ? idleMs : idleSinceMs + idleMs - clock.monotonicMs();
    if (leftMs > 0) timer = clock.timer(leftMs, onTimer);
    else if (session.closed) session.destroy();
    else {
      session.close();
      // A peer that does not read its GOAWAY is not waited for either.
      timer = clock.timer(idleMs, () => session.destroy());
    }
  }

  session.on("stream", (stream) => {
    open++;
    stream.once("close", () => {
      open--;
      idleSinceMs = clock.monotonicMs();
    });
  });
  session.once("close", () => timer.cancel());
}
