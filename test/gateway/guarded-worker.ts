import { once } from "node:events";
import { createSecureServer } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { systemClock } from "#pkg/clock/index.ts";
import { createPort } from "#pkg/rpc/port/index.ts";
import type { MetadataDouble } from "#test/clouds/metadata/metadata-double.ts";
import type { SelfSigned } from "./self-signed.ts";

/** A request that reached the worker's front door. */
export interface Knock {
  readonly target: string;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, unknown>>;
  /** Why it was not let in; undefined when it was. */
  readonly fault: string | undefined;
}

/** A tiny worker behind a front door like Cloud Run's: without a good token in `X-Serverless-Authorization` it answers 401. */
export interface GuardedWorker {
  readonly name: string;
  readonly url: URL;
  readonly knocks: Knock[];
  /** Everything that is not `/ready`. */
  calls(): Knock[];
  destroy(): void;
}

/** @param tls serves https where given. */
export async function startGuardedWorker(
  name: string,
  metadata: Pick<MetadataDouble, "faultOf">,
  tls?: SelfSigned,
): Promise<GuardedWorker> {
  const knocks: Knock[] = [];

  function answer(request: Asked, response: Answering): void {
    const { headers, httpVersion } = request;
    const given = String(headers["x-serverless-authorization"] ?? "");
    const fault = metadata.faultOf(/^Bearer (\S+)$/.exec(given)?.[1], worker.url.origin);
    knocks.push({ target: request.url ?? "", httpVersion, headers, fault });
    request.resume();
    const isGrpc = headers["content-type"] === "application/grpc";
    const type = { "content-type": isGrpc ? "application/grpc" : "application/json" };
    if (fault !== undefined) response.writeHead(401, type);
    else response.writeHead(200, isGrpc ? { ...type, "grpc-status": "0" } : type);
    response.end();
  }

  const { port, destroy } = await (tls === undefined ? listen(name, answer) : listenTls(tls, answer));
  const url = new URL(`${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`);
  const calls = () => knocks.filter(({ target }) => target !== "/ready");
  const worker: GuardedWorker = { name, url, knocks, calls, destroy };
  return worker;
}

/** What requests and responses of both versions have in common. */
interface Asked {
  readonly url?: string | undefined;
  readonly httpVersion: string;
  readonly headers: Readonly<Record<string, unknown>>;
  resume(): unknown;
}

interface Answering {
  writeHead(status: number, headers: Record<string, string>): unknown;
  end(): unknown;
}

type Answer = (request: Asked, response: Answering) => void;

async function listen(name: string, answer: Answer) {
  const port = createPort({
    name,
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    setting: "TEST_PORT",
    handlers: { http1: answer, http2: { requests: answer } },
  });
  await port.start();
  return { port: port.address().port, destroy: () => void port.stop() };
}

async function listenTls({ key, cert }: SelfSigned, answer: Answer) {
  const server = createSecureServer({ key, cert, allowHTTP1: true }, answer);
  const sockets = new Set<Socket>();
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    destroy() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
