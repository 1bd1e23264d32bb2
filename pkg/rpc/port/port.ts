import { createServer as createHttp1Server, type IncomingMessage, type ServerResponse } from "node:http";
import {
  createServer as createHttp2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Clock } from "#pkg/clock/index.ts";
import { ExitCode, InvariantError, StartupError } from "#pkg/errors/index.ts";
import { createService, type Service } from "#pkg/lifecycle/index.ts";
import { DEFAULT_PORT_LIMITS, type PortLimits } from "./limits.ts";
import { type AddressCheck, addressFault, isRepeated } from "./request-address.ts";
import { watchIdle } from "./session-idle.ts";
import { sniff } from "./sniff.ts";
import { watchSilence } from "./stream-silence.ts";

/** What is called with each request. None may throw; a rejection is the handler's own to catch. */
export interface PortHandlers {
  http1(request: IncomingMessage, response: ServerResponse): void;
  /** Called instead of `http1` for `Expect: 100-continue`. Default: says "continue" and calls `http1`. */
  http1Expecting?(request: IncomingMessage, response: ServerResponse): void;
  /** HTTP/2 as requests and responses like HTTP/1.1's, or as bare streams, which is faster and shows trailers and resets. */
  readonly http2:
    | { requests(request: Http2ServerRequest, response: Http2ServerResponse): void }
    | { streams(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: string[]): void };
}

export interface PortOptions {
  /** Names the service in words for an operator: `gateway`. */
  readonly name: string;
  readonly clock: Clock;
  readonly host: string;
  /** 0 takes any free one; see `Port.address`. */
  readonly port: number;
  /** The setting that says the port, for the error when it is taken: `GATEWAY_PORT`. */
  readonly setting: string;
  readonly handlers: PortHandlers;
  readonly limits?: Partial<PortLimits>;
  /** Which `Host` names are answered; others get 400. Default: all. */
  readonly accepts?: AddressCheck;
}

/** A listening port. `start` rejects with a `StartupError` that names the setting when the port cannot be had. */
export interface Port extends Service {
  /** What was bound. @throws InvariantError before the start. */
  address(): { readonly host: string; readonly port: number };
}

/** What HTTP/2 adds for each header to the bytes of its name and value (RFC 9113, section 6.5.2). */
const HEADER_OVERHEAD_BYTES = 32;

/** Errors of single sockets, requests and streams are their peers' doing and end with them: what matters is the close. */
const ignore = () => undefined;

/** See the package's paragraph. The `http.Server` owns the port: one that does not listen enforces none of its timeouts. */
export function createPort(options: PortOptions): Port {
  const limits: PortLimits = { ...DEFAULT_PORT_LIMITS, ...options.limits };
  const { handlers, clock } = options;
  const sockets = new Set<Socket>();
  const undecided = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  const replies = new Map<Socket, Set<ServerResponse>>();
  let draining = false;

  const http1 = createHttp1Server({
    headersTimeout: limits.headersMs,
    // The whole of a request may take as long as its stream lives; silence is what `timeout` bounds.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveMs,
    // Looked at often enough that `headersMs` means what it says.
    connectionsCheckingInterval: Math.min(limits.headersMs, 5_000),
    maxHeaderSize: limits.headerBytes,
    noDelay: true,
    keepAlive: true,
  });
  http1.timeout = limits.bodyMs;
  const toHttp1 = http1.listeners("connection");
  http1.removeAllListeners("connection");
  const http2 = createHttp2Server({
    settings: { maxConcurrentStreams: limits.streams, maxHeaderListSize: limits.headerBytes },
    maxHeaderListPairs: Math.floor(limits.headerBytes / HEADER_OVERHEAD_BYTES),
    streamResetBurst: limits.streamResetBurst,
    streamResetRate: limits.streamResetRate,
    maxSessionRejectedStreams: limits.refusedStreams,
  });

  http1.on("connection", (socket: Socket) => {
    if (draining) return void socket.destroy();
    sockets.add(socket);
    undecided.add(socket);
    socket.on("error", ignore);
    socket.on("close", () => {
      sockets.delete(socket);
      undecided.delete(socket);
    });
    sniff(socket, {
      clock,
      timeoutMs: limits.sniffMs,
      onHttp1(ready) {
        undecided.delete(ready);
        for (const listener of toHttp1) listener.call(http1, ready);
      },
      onHttp2(ready) {
        undecided.delete(ready);
        // An `http.Server` leaves its sockets half open; a session would outlive its peer.
        ready.allowHalfOpen = false;
        // Told of before `emit` returns.
        http2.once("session", (session) => takeSession(session, ready));
        http2.emit("connection", ready);
      },
    });
  });

  const http1Expecting =
    handlers.http1Expecting ??
    ((request: IncomingMessage, response: ServerResponse) => {
      response.writeContinue();
      handlers.http1(request, response);
    });
  http1.on("request", (request, response) => takeHttp1(request, response, handlers.http1));
  http1.on("checkContinue", (request, response) => takeHttp1(request, response, http1Expecting));
  // Told when nothing came or went for a while. Without a reply the connection idles; with none but whole ones its peer does
  // not read them; any other is quiet, and lives on. Node tells once, so it is asked to tell again.
  http1.on("timeout", (socket) => {
    const open = [...(replies.get(socket) ?? [])];
    if (open.every((reply) => reply.writableEnded)) socket.destroy();
    else if (!socket.destroyed) socket.setTimeout(limits.bodyMs);
  });

  function takeHttp1(
    request: IncomingMessage,
    response: ServerResponse,
    handle: (request: IncomingMessage, response: ServerResponse) => void,
  ): void {
    response.on("error", ignore);
    request.on("error", ignore);
    const fault = isRepeated(request.rawHeaders, "host")
      ? "one Host header only"
      : addressFault(request.url, request.headers.host, options.accepts);
    if (fault !== undefined) {
      const head = { "content-type": "text/plain; charset=utf-8", connection: "close" };
      return void response.writeHead(400, head).end(`${fault}\n`);
    }
    track(request.socket, response);
    request.on("timeout", () => {
      // What was received and not yet taken is not the peer's delay.
      if (!response.headersSent && request.readableLength === 0 && !request.isPaused()) request.destroy();
    });
    if (draining) response.shouldKeepAlive = false;
    handle(request, response);
  }

  function track(socket: Socket, response: ServerResponse): void {
    let open = replies.get(socket);
    if (open === undefined) {
      open = new Set();
      replies.set(socket, open);
    }
    open.add(response);
    const live = open;
    response.on("close", () => {
      live.delete(response);
      if (live.size > 0) return;
      replies.delete(socket);
      if (draining) socket.end();
    });
  }

  function takeSession(session: ServerHttp2Session, socket: Socket): void {
    sessions.add(session);
    session.on("error", ignore);
    session.on("close", () => sessions.delete(session));
    watchIdle(session, socket, clock, limits.sessionIdleMs);
    if (draining) session.close();
  }
  http2.on("sessionError", ignore);

  // Before the compatibility layer's own listener, which the request handler brings: it takes only what passed here.
  http2.on("stream", (stream, headers, _flags, rawHeaders) => {
    stream.on("error", ignore);
    watchSilence(stream, limits.bodyMs);
    const authority = headers[":authority"] ?? headers.host;
    const fault = addressFault(headers[":path"], authority, options.accepts);
    if (fault !== undefined) {
      refused.add(stream);
      stream.respond({ ":status": 400, "content-type": "text/plain; charset=utf-8" });
      return void stream.end(`${fault}\n`);
    }
    if ("streams" in handlers.http2) handlers.http2.streams(stream, headers, rawHeaders);
  });
  const refused = new WeakSet<ServerHttp2Stream>();
  if ("requests" in handlers.http2) {
    const { requests } = handlers.http2;
    http2.on("request", (request, response) => {
      if (refused.has(request.stream)) return;
      request.on("error", ignore);
      response.on("error", ignore);
      requests(request, response);
    });
  }

  let closed: Promise<void> = Promise.resolve();
  /** Resolves when the last connection is gone. */
  function stopListening(): Promise<void> {
    if (!draining) {
      draining = true;
      closed = new Promise((resolve) => http1.close(() => resolve()));
    }
    return closed;
  }

  const service = createService({
    name: `${options.name} port`,
    start: () => listen(),
    async drain() {
      const allGone = stopListening();
      for (const socket of undecided) socket.destroy();
      for (const open of replies.values()) for (const reply of open) reply.shouldKeepAlive = false;
      // Those without a reply are between two requests, or have begun one that nobody has seen.
      http1.closeIdleConnections();
      for (const session of sessions) session.close();
      await allGone;
    },
    async stop() {
      const allGone = stopListening();
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      http2.close();
      await allGone;
    },
  });

  async function listen(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      http1.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error)));
      http1.listen({ host: options.host, port: options.port }, resolve);
    });
    // From here on an error of the listening socket (too many open files) costs one connection, not the process.
    http1.on("error", ignore);
  }

  function listenError(error: NodeJS.ErrnoException): StartupError {
    const where = `${options.host}:${options.port}`;
    const words =
      error.code === "EADDRINUSE"
        ? `${options.setting}: ${where} is taken by another process; stop that one, or set ${options.setting} to another port`
        : `${options.setting}: cannot listen on ${where}: ${error.message}`;
    return new StartupError(words, ExitCode.Failed, { cause: error });
  }

  function address(): { host: string; port: number } {
    const bound = http1.address();
    if (bound === null || typeof bound === "string")
      throw new InvariantError(`${options.name}: not listening`);
    return { host: (bound satisfies AddressInfo).address, port: bound.port };
  }
  return Object.defineProperties({ address } as Port, Object.getOwnPropertyDescriptors(service));
}
