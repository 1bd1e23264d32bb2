import type { Readable } from "node:stream";
import type { RawHeaders } from "./headers.ts";

/** The one who called, over whichever version of HTTP: the request, and where its reply goes. */
export interface Caller {
  readonly httpVersion: 1 | 2;
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** `Host` or `:authority`. */
  readonly authority: string;
  readonly remoteAddress: string | undefined;
  readonly rawHeaders: RawHeaders;
  /** A header's value, duplicates joined by commas; `name` in lower case. */
  header(name: string): string | undefined;
  /** The request's body, not read yet. */
  readonly body: Readable;
  /** Asks for the body, where the caller waits to be asked (`Expect: 100-continue`). */
  invite(): void;
  /**
   * Begins the reply. @param isWhole there is neither body nor trailers to come.
   * @throws when status or headers cannot be sent in this protocol; nothing was sent then.
   */
  head(status: number, headers: string[], isWhole: boolean): void;
  /** False asks to wait until `onDrain`. */
  write(chunk: Buffer): boolean;
  end(trailers: string[]): void;
  /** Breaks off; `code` is HTTP/2's, where there are codes. What was sent so far does not look whole. */
  reset(code: number): void;
  /** Set by who forwards the call. */
  onDrain: () => void;
  /** Called once when the caller went away before its reply was handed over whole; with HTTP/2's code. */
  onGone: (code: number) => void;
}

/** Codes of HTTP/2 (RFC 9113, section 7). */
export const ResetCode = {
  NoError: 0,
  InternalError: 2,
  RefusedStream: 7,
  Cancel: 8,
} as const;

/** How much of a body that nobody wants any more is read, so that its sender can read the reply, before it is cut off. */
export const LINGER_BYTES = 8 * 1024 * 1024;

/** Before somebody listens there is nothing to tell. */
export const unheard = () => undefined;
