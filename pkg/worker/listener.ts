import { createServer } from "node:http";
import type { Clock } from "#pkg/clock/index.ts";
import { createService, type Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { NodeHandler } from "#pkg/rpc/index.ts";
import { hostOf } from "#pkg/rpc/index.ts";
import { isLoopbackHost } from "./loopback.ts";
import type { WorkerSettings } from "./settings.ts";

export interface ListenerOptions {
  readonly settings: WorkerSettings;
  readonly clock: Clock;
  readonly log: Logger;
  readonly handler: NodeHandler;
}

export interface Listener extends Service {
  readonly address: { readonly host: string; readonly port: number } | undefined;
}

export function createListener({ settings, handler }: ListenerOptions): Listener {
  const guarded = isLocalOnly(settings) ? loopbackNamesOnly(handler) : handler;
  const server = createServer((request, response) => guarded(request, response));
  const service = createService({
    name: "port",
    start: () =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(settings.WORKER_PORT, settings.WORKER_HOST, resolve);
      }),
    async stop() {
      server.closeAllConnections();
      server.close();
    },
  });
  return Object.defineProperties(
    {
      get address() {
        const address = server.address();
        return address !== null && typeof address === "object"
          ? { host: address.address, port: address.port }
          : undefined;
      },
    } as Listener,
    Object.getOwnPropertyDescriptors(service),
  );
}

/** Every caller of the local provider can run programs here, and a caller can be a web page. */
function isLocalOnly({ BATCH_PROVIDER, LOCAL_ALLOW_REMOTE }: WorkerSettings): boolean {
  return BATCH_PROVIDER === "local" && !LOCAL_ALLOW_REMOTE;
}

/**
 * Refuses requests addressed to any name but a loopback one; what the gateway says of its own caller's name counts too, or
 * a page that reaches the gateway would get through it.
 */
function loopbackNamesOnly(handler: NodeHandler): NodeHandler {
  return (request, response) => {
    const forwarded = request.headers["x-forwarded-host"];
    const names = [hostOf(request), ...(Array.isArray(forwarded) ? forwarded : [forwarded])];
    if (names.every((name) => name === undefined || isLoopbackHost(name))) return handler(request, response);
    response.writeHead(403, { "content-type": "text/plain; charset=utf-8" });
    response.end(
      "with the local provider only loopback Host names are answered; LOCAL_ALLOW_REMOTE=true allows others\n",
    );
  };
}
