import type { Socket } from "node:net";
import type { Clock } from "#pkg/clock/index.ts";

/** What every HTTP/2 connection begins with (RFC 9113, section 3.4), as far as it takes to know: no method begins so. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n");

export interface SniffOptions {
  readonly clock: Clock;
  /** A peer that has not said by then which protocol it speaks is cut off. Milliseconds. */
  readonly timeoutMs: number;
  onHttp1(socket: Socket): void;
  onHttp2(socket: Socket): void;
}

/**
 * Waits until the first bytes of a connection tell its protocol, puts them back and hands the socket on. The sockets that
 * have not told yet stay here, with a timer of their own: neither protocol's server knows of them.
 */
export function sniff(socket: Socket, options: SniffOptions): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = options.clock.timer(options.timeoutMs, () => socket.destroy());

  function onReadable(): void {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.compare(PREFACE, 0, length, 0, length) === 0;
    if (isPreface && seen.length < PREFACE.length) return;
    settle();
    socket.unshift(seen);
    if (isPreface) options.onHttp2(socket);
    else options.onHttp1(socket);
  }

  function onEnd(): void {
    settle();
    socket.destroy();
  }

  function settle(): void {
    timer.cancel();
    socket.off("readable", onReadable).off("end", onEnd).off("close", settle);
  }

  socket.on("readable", onReadable).on("end", onEnd).on("close", settle);
}
