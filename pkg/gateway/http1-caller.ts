import type { IncomingMessage, ServerResponse } from "node:http";
import { type Caller, LINGER_BYTES, ResetCode, unheard } from "./caller.ts";
import { headerValue } from "./headers.ts";

/** @param expectsInvitation the caller sent `Expect: 100-continue` and may hold its body back. */
export function createHttp1Caller(
  request: IncomingMessage,
  response: ServerResponse,
  expectsInvitation: boolean,
): Caller {
  const { socket } = request;
  let isOver = false;
  let wasInvited = !expectsInvitation;

  const caller: Caller = {
    httpVersion: 1,
    method: request.method ?? "",
    target: request.url ?? "",
    authority: request.headers.host ?? "",
    remoteAddress: socket.remoteAddress,
    rawHeaders: request.rawHeaders,
    header(name) {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    body: request,
    invite() {
      if (wasInvited) return;
      wasInvited = true;
      response.writeContinue();
    },
    head(status, headers, isWhole) {
      // Whether the body that was not asked for follows, nobody knows: the connection ends here.
      if (!wasInvited) response.shouldKeepAlive = false;
      response.writeHead(status, headers);
      if (isWhole) return;
      // What comes in one go leaves in one go; a stream's headers do not wait for its first message.
      socket.cork();
      process.nextTick(() => socket.uncork());
      if (headerValue(headers, "content-length") === undefined) response.flushHeaders();
    },
    write: (chunk) => response.write(chunk),
    end(trailers) {
      isOver = true;
      if (trailers.length > 0) response.addTrailers(pairs(trailers));
      response.end();
      if (!request.readableEnded) linger(request);
    },
    reset() {
      isOver = true;
      socket.destroy();
    },
    onDrain: unheard,
    onGone: unheard,
  };
  response.on("drain", () => caller.onDrain());
  response.on("close", () => {
    if (!isOver) caller.onGone(ResetCode.Cancel);
    isOver = true;
  });
  return caller;
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i] ?? "", raw[2 * i + 1] ?? ""]);
}

/** Closing at once would reset the connection, and the sender might never read why. */
function linger(request: IncomingMessage): void {
  let left = LINGER_BYTES;
  request.on("data", (chunk: Buffer) => {
    left -= chunk.length;
    if (left < 0) request.socket.destroy();
  });
  request.resume();
}
