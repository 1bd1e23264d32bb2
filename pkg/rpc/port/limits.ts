/** Bounds on what one peer can hold. All durations in milliseconds. */
export interface PortLimits {
  /** From the accept to the first bytes. */
  readonly sniffMs: number;
  /** From the first byte of an HTTP/1.1 request to the end of its headers. */
  readonly headersMs: number;
  /** Between two requests of one HTTP/1.1 connection. Longer than a client's own, or calls meet a closing connection. */
  readonly keepAliveMs: number;
  /** An HTTP/2 session without a live stream: with none, or with whole replies alone of which its peer takes none to its end. */
  readonly sessionIdleMs: number;
  /**
   * Between two pieces of a request's body, as long as no reply has begun, and between two that are taken of a reply that is
   * whole. What replies and goes on is a live stream, and may be quiet.
   */
  readonly bodyMs: number;
  /** Open streams of one HTTP/2 session. */
  readonly streams: number;
  /** Bytes of all headers of a request. HTTP/2 counts 32 more for each header; there is no limit to their number beside. */
  readonly headerBytes: number;
  /**
   * Resets that an HTTP/2 session may send at once, and how many more each second; above, the session ends, with all its
   * streams. Low for callers, who reset to make work for nothing; high for a peer that passes the resets of many callers on.
   */
  readonly streamResetBurst: number;
  readonly streamResetRate: number;
  /**
   * Streams that an HTTP/2 session may ask for in all its life while it has as many as it may, or as much memory as Node
   * grants it; each is reset, and with more the session ends. High for a peer that passes many callers' calls on.
   */
  readonly refusedStreams: number;
}

export const DEFAULT_PORT_LIMITS: PortLimits = {
  sniffMs: 10_000,
  headersMs: 20_000,
  keepAliveMs: 75_000,
  sessionIdleMs: 300_000,
  bodyMs: 60_000,
  // As many full receive windows as fit into the memory that Node grants a session.
  streams: 128,
  headerBytes: 16_384,
  // What nghttp2 and Node have by default.
  streamResetBurst: 1000,
  streamResetRate: 33,
  refusedStreams: 100,
};
