import type { IncomingMessage, ServerResponse } from "node:http";
import { type ClientHttp2Session, connect as http2Connect, type ServerHttp2Stream } from "node:http2";
import { connect as netConnect, type Socket } from "node:net";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterEach } from "vitest";
import { createSeededEntropy, systemClock } from "#pkg/clock/index.ts";
import { createGateway, createRpcTable, type Gateway, type GatewayOptions } from "#pkg/gateway/index.ts";
import type { Service } from "#pkg/lifecycle/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createRing } from "#pkg/ring/index.ts";
import { createPort, type Port, type PortHandlers } from "#pkg/rpc/port/index.ts";
import { ProbeService } from "./testdata/probe_pb.js";

const services: Service[] = [];
const clients: { destroy(): unknown }[] = [];

/** Ends what a test started, clients first. */
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const service of services.splice(0).reverse()) await service.stop();
});

/** A worker of the tests: a real server on both versions of HTTP that answers `/ready` and whatever it is given. */
export interface Upstream {
  readonly port: Port;
  readonly name: string;
  readonly url: URL;
  /** What `/ready` answers. */
  readyStatus: number;
  /** Requests that reached it, `/ready` not counted: method, target and headers. */
  readonly seen: { readonly target: string; readonly headers: Record<string, unknown> }[];
}

export type Handlers = {
  http1?(request: IncomingMessage, response: ServerResponse): void;
  stream?(stream: ServerHttp2Stream, headers: Record<string, unknown>, rawHeaders: string[]): void;
  routes?(router: ConnectRouter): void;
  limits?: Parameters<typeof createPort>[0]["limits"];
};

export async function startUpstream(name: string, given: Handlers): Promise<Upstream> {
  const seen: Upstream["seen"] = [];
  const adapter =
    given.routes && connectNodeAdapter({ routes: given.routes, jsonOptions: { useProtoFieldName: true } });
  const note = (target: string, headers: Record<string, unknown>) => seen.push({ target, headers });
  const http1: PortHandlers["http1"] = (request, response) => {
    if (request.url === "/ready") return void response.writeHead(upstream.readyStatus).end();
    note(request.url ?? "", request.headers);
    if (adapter) adapter(request, response);
    else given.http1?.(request, response);
  };
  const port = createPort({
    name,
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    setting: "TEST_PORT",
    ...(given.limits && { limits: given.limits }),
    handlers: {
      http1,
      http2: adapter
        ? {
            requests(request, response) {
              note(request.url, request.headers);
              adapter(request, response);
            },
          }
        : {
            streams(stream, headers, rawHeaders) {
              note(headers[":path"] ?? "", headers);
              given.stream?.(stream, headers, rawHeaders);
            },
          },
    },
  });
  services.push(port);
  await port.start();
  const url = new URL(`http://127.0.0.1:${port.address().port}`);
  const upstream: Upstream = { port, name, url, readyStatus: 200, seen };
  return upstream;
}

/** Lines that the gateway logged, parsed. */
export type LogLine = Record<string, unknown>;

export interface GatewayUnderTest {
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  readonly lines: LogLine[];
  /** Resolves with the first line, past or to come, for which `matches` holds. */
  logged(matches: (line: LogLine) => boolean): Promise<LogLine>;
}

type WorkerPlaces = readonly { readonly name: string; readonly url: URL }[];

/** A gateway whose workers are all ready: on a busy machine a first probe may come too late, and calls would be refused. */
export async function startGateway(
  workers: WorkerPlaces,
  overrides: Partial<GatewayOptions> = {},
): Promise<GatewayUnderTest> {
  const under = await startGatewayAtOnce(workers, overrides);
  for (const { name } of workers) {
    await under.logged(({ msg, worker_id }) => msg === "worker is ready" && worker_id === name);
  }
  return under;
}

/** The same, for workers that will not be ready, or not yet. */
export async function startGatewayAtOnce(
  workers: WorkerPlaces,
  overrides: Partial<GatewayOptions> = {},
): Promise<GatewayUnderTest> {
  const lines: LogLine[] = [];
  const waiting = new Set<(line: LogLine) => void>();
  const log = createLogger({
    level: LogLevel.Debug,
    format: LogFormat.Json,
    destination: {
      write(text) {
        const line = JSON.parse(text) as LogLine;
        lines.push(line);
        for (const each of waiting) each(line);
      },
    },
  });
  const gateway = createGateway({
    clock: systemClock,
    log,
    host: "127.0.0.1",
    port: 0,
    workers,
    rpcs: createRpcTable([ProbeService]),
    // Long enough that a busy machine answers within it: three late probes would make a worker unready.
    healthIntervalMs: 1000,
    unaryTimeoutMs: 10_000,
    maxRequestBytes: 1024 * 1024,
    entropy: createSeededEntropy(7),
    ...overrides,
  });
  services.push(gateway);
  await gateway.start();
  const { port } = gateway.address();
  return {
    gateway,
    port,
    url: `http://127.0.0.1:${port}`,
    lines,
    logged(matches) {
      const found = lines.find(matches);
      if (found !== undefined) return Promise.resolve(found);
      const { promise, resolve } = Promise.withResolvers<LogLine>();
      const check = (line: LogLine) => {
        if (!matches(line)) return;
        waiting.delete(check);
        resolve(line);
      };
      waiting.add(check);
      return promise;
    },
  };
}

/** A tenant whose calls go to the worker of that name first. */
export function tenantOf(name: string, names: readonly string[]): string {
  const ring = createRing(names);
  for (let i = 0; i < 10_000; i++) if (ring.workersOf(`tenant-${i}`)[0] === name) return `tenant-${i}`;
  throw new Error(`no tenant of ${name}`);
}

export function rawSocket(port: number): Socket {
  const socket = netConnect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  clients.push(socket);
  return socket;
}

export function http2Session(url: string): ClientHttp2Session {
  const session = http2Connect(url);
  session.on("error", () => undefined);
  clients.push(session);
  return session;
}

/** Registers something to be destroyed after the test. */
export function later<T extends { destroy(): unknown }>(client: T): T {
  clients.push(client);
  return client;
}

/** Everything that comes until the other side closes. */
export function untilClosed(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("close", () => resolve(Buffer.concat(chunks).toString("latin1")));
  });
}

/** Waits until `holds`, letting events in between; the test's own time limit bounds it. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.yield();
}
