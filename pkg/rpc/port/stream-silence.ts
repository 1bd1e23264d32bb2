import type { ServerHttp2Stream } from "node:http2";

/** RFC 9113, section 7. */
const CANCEL = 8;

/** Resets a stream whose peer stalls for `silenceMs`. One whose reply has begun and goes on may be quiet. */
export function watchSilence(stream: ServerHttp2Stream, silenceMs: number): void {
  stream.setTimeout(silenceMs);
  stream.on("timeout", () => {
    if (stalls(stream)) stream.close(CANCEL);
    // Node tells once.
    else stream.setTimeout(silenceMs);
  });
}

/** The peer takes no more of a reply that is whole, or sends no more of a request that has no reply yet. */
function stalls(stream: ServerHttp2Stream): boolean {
  if (stream.writableEnded) return true;
  // What was received and not yet taken is not the peer's delay.
  const waits = !stream.headersSent && !stream.readableEnded && stream.readableLength === 0;
  return waits && !stream.isPaused();
}
