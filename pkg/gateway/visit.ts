import type { LiveBody } from "./request-body.ts";

/** What is sent to a worker. */
export interface Outgoing {
  readonly method: string;
  readonly path: string;
  /** Names and values in turn; without `Host`, which is added. Made for one visit. */
  readonly headers: string[];
  /** In one piece, or as it comes. */
  readonly body: Buffer | LiveBody;
}

/** Why a visit came to nothing, or broke off. */
export interface VisitFailure {
  /** The worker took no byte of the call. */
  readonly wasRefused: boolean;
  /** HTTP/2's code, where the worker sent one. */
  readonly resetCode: number | undefined;
  readonly cause: Error;
}

/** Told what becomes of a visit: `head`, `data` any number of times, then `end`; or at any point `failed`, and nothing after. */
export interface VisitListener {
  /** @param isWhole there is neither body nor trailers to come; `end` follows nevertheless. */
  head(status: number, rawHeaders: string[], isWhole: boolean): void;
  data(chunk: Buffer): void;
  end(rawTrailers: string[]): void;
  failed(failure: VisitFailure): void;
}

/** One call at one worker, under way. */
export interface Visit {
  /** Ends it; the listener hears nothing more. `code` is HTTP/2's. */
  cancel(code: number): void;
  /** The caller has no room. */
  pause(): void;
  resume(): void;
}
