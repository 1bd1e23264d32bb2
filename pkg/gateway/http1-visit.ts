import { Readable } from "node:stream";
import type { Dispatcher, Pool } from "undici";
import type { LiveBody } from "./request-body.ts";
import type { Outgoing, Visit, VisitListener } from "./visit.ts";

/**
 * Sends a call over HTTP/1.1. `pool` has no time limits of its own but the one for connecting.
 *
 * @param authority what `Host` becomes.
 */
export function visitHttp1(pool: Pool, authority: string, call: Outgoing, listener: VisitListener): Visit {
  let controller: Dispatcher.DispatchController | undefined;
  let isCancelled = false;
  let hasStarted = false;
  const cancelled = new Error("cancelled");

  const handler: Dispatcher.DispatchHandler = {
    // From here on bytes may be on their way; an error before is a connection that was not made.
    onRequestStart(given) {
      controller = given;
      hasStarted = true;
      if (isCancelled) given.abort(cancelled);
    },
    onResponseStart(given, status, _headers, _message) {
      if (isCancelled || status < 200) return;
      listener.head(status, rawStrings(given.rawHeaders), false);
    },
    onResponseData(_given, chunk) {
      if (!isCancelled) listener.data(chunk);
    },
    onResponseEnd(given) {
      if (!isCancelled) listener.end(rawStrings(given.rawTrailers));
    },
    onResponseError(_given, cause) {
      if (!isCancelled) listener.failed({ wasRefused: !hasStarted, resetCode: undefined, cause });
    },
  };

  const body = Buffer.isBuffer(call.body) ? call.body : readableOf(call.body);
  const { method, path, headers } = call;
  headers.push("host", authority);
  pool.dispatch({ method, path, headers, body }, handler);

  return {
    cancel() {
      if (isCancelled) return;
      isCancelled = true;
      if (!Buffer.isBuffer(body)) body.destroy();
      controller?.abort(cancelled);
    },
    pause: () => controller?.pause(),
    resume: () => controller?.resume(),
  };
}

/** undici destroys the stream that it is given as a body; so it never gets the caller's own, which carries the reply too. */
function readableOf(body: LiveBody): Readable {
  let detach: () => void = () => undefined;
  const readable = new Readable({
    read: () => body.resume(),
    destroy(error, callback) {
      detach();
      callback(error);
    },
  });
  // The visit fails with it; that is told once, by undici.
  readable.on("error", () => undefined);
  detach = body.attach({
    write: (chunk) => readable.push(chunk),
    end: () => void readable.push(null),
  });
  return readable;
}

/** undici's raw headers: bytes of the wire, one character each. */
function rawStrings(raw: Dispatcher.DispatchController["rawHeaders"]): string[] {
  if (!Array.isArray(raw)) return [];
  return raw.map((each) => (typeof each === "string" ? each : each.toString("latin1")));
}
