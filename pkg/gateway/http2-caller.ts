import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import type { Clock } from "#pkg/clock/index.ts";
import { type Caller, ResetCode, unheard } from "./caller.ts";
import { joinDuplicates } from "./headers.ts";

/** A call over HTTP/2. `clock` lets a finished reply leave before the rest of its request is declined. */
export function createHttp2Caller(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: string[],
  clock: Clock,
): Caller {
  let isOver = false;
  let trailersToSend: string[] = [];
  let wasInvited = headers.expect !== "100-continue";

  /** A reply that is whole before its request: the sender is told that no more of it is wanted. */
  async function declineRest(): Promise<void> {
    await clock.yield();
    if (!stream.readableEnded && !stream.closed) stream.close(ResetCode.NoError);
  }

  const isOpen = () => !stream.destroyed && !stream.closed;
  const caller: Caller = {
    httpVersion: 2,
    method: headers[":method"] ?? "",
    target: headers[":path"] ?? "",
    authority: headers[":authority"] ?? headers.host ?? "",
    remoteAddress: stream.session?.socket.remoteAddress,
    rawHeaders,
    header(name) {
      const value = headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    body: stream,
    invite() {
      if (wasInvited || !isOpen()) return;
      wasInvited = true;
      stream.additionalHeaders({ ":status": 100 });
    },
    head(status, reply, isWhole) {
      // A stream that the caller has reset takes no headers; its `close` is on its way.
      if (!isOpen()) return;
      stream.respond([":status", String(status), ...reply], {
        endStream: isWhole,
        waitForTrailers: !isWhole,
      });
    },
    write: (chunk) => (isOpen() ? stream.write(chunk) : true),
    end(trailers) {
      isOver = true;
      if (!isOpen()) return;
      trailersToSend = trailers;
      if (stream.writableEnded) void declineRest();
      else stream.end();
    },
    reset(code) {
      isOver = true;
      if (!stream.closed) stream.close(code);
    },
    onDrain: unheard,
    onGone: unheard,
  };
  stream.on("drain", () => caller.onDrain());
  // Node asks no stream that is closed.
  stream.on("wantTrailers", () => {
    // A reply without any still ends so: closing the stream instead can lose its last bytes.
    stream.sendTrailers(joinDuplicates(trailersToSend));
    void declineRest();
  });
  stream.on("close", () => {
    if (!isOver) caller.onGone(stream.rstCode === ResetCode.NoError ? ResetCode.Cancel : stream.rstCode);
    isOver = true;
  });
  return caller;
}
