import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Clock } from "#pkg/clock/index.ts";
import type { NodeHandler } from "#pkg/rpc/index.ts";
import { createPort, DEFAULT_PORT_LIMITS, type Port, type PortLimits } from "#pkg/rpc/port/index.ts";
import { isLoopbackHost } from "./loopback.ts";
import type { WorkerSettings } from "./settings.ts";

export interface ListenerOptions {
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  readonly handler: NodeHandler;
}

/** The peers of a worker are gateways, each of which sends the calls of many callers over one connection. */
const LIMITS: Partial<PortLimits> = {
  // What a gateway lets in it passes on with headers of its own: where the call came from, its ids, an ID token.
  headerBytes: DEFAULT_PORT_LIMITS.headerBytes + 8 * 1024,
  // More than a gateway can pass on: one caller's cancels must not end the connection under the calls of all others. A caller
  // who resets without end is the gateway's to stop.
  streamResetBurst: 100_000,
  streamResetRate: 100_000,
  refusedStreams: 1_000_000_000,
};

/** The worker's port. With the local provider it answers only what is addressed to a loopback name. */
export function createListener({ settings, clock, handler }: ListenerOptions): Port {
  const isGuarded = settings.BATCH_PROVIDER === "local" && !settings.LOCAL_ALLOW_REMOTE;
  const guarded = isGuarded ? refuseForwarded(handler) : handler;
  return createPort({
    name: "worker",
    clock,
    host: settings.WORKER_HOST,
    port: settings.WORKER_PORT,
    setting: "WORKER_PORT",
    limits: LIMITS,
    handlers: { http1: guarded, http2: { requests: guarded } },
    ...(isGuarded && { accepts: (hostname: string) => isLoopbackHost(hostname) }),
  });
}

/**
 * Refuses what a gateway passes on from a caller that used another name than a loopback one: else a page in a browser, which
 * the port refuses here, would reach this worker by way of the gateway.
 */
function refuseForwarded(handler: NodeHandler): NodeHandler {
  return (request, response) => {
    if (forwardedHosts(request).every(isLoopbackHost)) return handler(request, response);
    response.writeHead(403, { "content-type": "text/plain; charset=utf-8" });
    response.end(
      "with the local provider only loopback Host names are answered; LOCAL_ALLOW_REMOTE=true allows others\n",
    );
  };
}

function forwardedHosts({ headers }: IncomingMessage | Http2ServerRequest): readonly string[] {
  const given = headers["x-forwarded-host"] ?? [];
  return (Array.isArray(given) ? given : [given])
    .flatMap((value) => value.split(","))
    .map((host) => host.trim());
}
