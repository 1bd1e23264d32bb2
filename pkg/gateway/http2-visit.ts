import type { ClientHttp2Stream } from "node:http2";
import type { Clock } from "#pkg/clock/index.ts";
import { ResetCode } from "./caller.ts";
import type { Http2Sessions, WorkerSession } from "./http2-sessions.ts";
import type { Outgoing, Visit, VisitListener } from "./visit.ts";

const END_STREAM = 1;

/** Sends a call over HTTP/2: the only way on which both sides can talk at once, and trailers come through. */
export function visitHttp2(
  sessions: Http2Sessions,
  { host: authority, protocol }: URL,
  clock: Clock,
  call: Outgoing,
  listener: VisitListener,
): Visit {
  const entry = sessions.acquire();
  let isOver = false;
  let hasHead = false;
  let trailers: string[] | undefined;
  let cause: Error | undefined;

  const scheme = protocol.slice(0, -1);
  const stream = entry.session.request(
    [":method", call.method, ":path", call.path, ":authority", authority, ":scheme", scheme, ...call.headers],
    { endStream: false },
  );
  entry.openStreams++;

  stream.on("response", (headers, flags, rawHeaders) => {
    if (isOver) return;
    hasHead = true;
    listener.head(headers[":status"] ?? 0, rawHeaders, (flags & END_STREAM) !== 0);
  });
  stream.on("data", (chunk: Buffer) => {
    if (!isOver) listener.data(chunk);
  });
  stream.on("trailers", (_headers, _flags, rawHeaders) => {
    trailers = rawHeaders;
  });
  stream.on("end", () => void finish());
  stream.on("error", (error: NodeJS.ErrnoException) => {
    cause = error;
    // The session has given all its ids away, this stream got none: only a new session takes further streams.
    if (error.code === "ERR_HTTP2_OUT_OF_STREAMS") sessions.retire(entry);
  });
  stream.on("close", () => {
    sessions.release(entry);
    if (isOver) return;
    if (isWhole()) end();
    else fail();
  });

  /** The data ended. What comes with it is told after, in the same turn of the event loop: trailers, or a reset's code. */
  async function finish(): Promise<void> {
    if (trailers === undefined) await clock.yield();
    // After a reset `close` follows, and tells.
    if (isWhole()) end();
  }

  /**
   * NO_ERROR is no reset: with it a worker says, after its whole reply, that it wants no more of the request. Node calls
   * that stream `aborted`, since this side had not finished; a lost connection has the code CANCEL.
   */
  function isWhole(): boolean {
    return hasHead && stream.rstCode === ResetCode.NoError && stream.errored === null;
  }

  function end(): void {
    if (isOver) return;
    isOver = true;
    detachBody();
    listener.end(trailers ?? []);
    // The reply is whole; a worker that still waits for the rest of the request need not.
    if (!stream.closed && !stream.writableEnded) stream.close(ResetCode.NoError);
  }

  function fail(): void {
    isOver = true;
    detachBody();
    const { rstCode } = stream;
    listener.failed({
      wasRefused: wasRefused(stream, entry),
      resetCode: rstCode === ResetCode.NoError ? undefined : rstCode,
      cause: cause ?? new Error(`the worker closed the stream with code ${rstCode}`),
    });
  }

  const detachBody = send(stream, call);
  return {
    cancel(code) {
      if (isOver) return;
      isOver = true;
      detachBody();
      stream.close(code);
    },
    pause: () => void stream.pause(),
    resume: () => void stream.resume(),
  };
}

/** Returns what stops the sending. */
function send(stream: ClientHttp2Stream, { body }: Outgoing): () => void {
  if (Buffer.isBuffer(body)) {
    stream.end(body);
    return () => undefined;
  }
  stream.on("drain", () => body.resume());
  return body.attach({
    write: (chunk) => (stream.writable ? stream.write(chunk) : false),
    end: () => void stream.end(),
  });
}

/** Never sent, or the worker said that it took nothing of it. */
function wasRefused(stream: ClientHttp2Stream, entry: WorkerSession): boolean {
  if (stream.id === undefined || stream.rstCode === ResetCode.RefusedStream) return true;
  return entry.goawayLastId !== undefined && stream.id > entry.goawayLastId;
}
