import type { Logger } from "#pkg/log/index.ts";
import type { NodeHandler } from "#pkg/rpc/index.ts";
import type { Metrics } from "./metrics.ts";
import type { Readiness } from "./readiness.ts";

export interface SideRoutesOptions {
  readonly metrics: Metrics;
  readonly readiness: () => Promise<Readiness>;
  readonly log: Logger;
}

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const TEXT = "text/plain; charset=utf-8";

/** What is served beside the RPCs: `/health`, `/ready`, `/metrics`. */
export function createSideRoutes({ metrics, readiness, log }: SideRoutesOptions): NodeHandler {
  const routes: Readonly<Record<string, () => Promise<Answer>>> = {
    "/health": async () => ({ status: 200, type: TEXT, body: "OK\n" }),
    "/ready": async () => {
      const answer = await readiness();
      return {
        status: answer.ready ? 200 : 503,
        type: "application/json",
        body: `${JSON.stringify(answer)}\n`,
      };
    },
    "/metrics": async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() }),
  };

  async function answer(method: string | undefined, path: string): Promise<Answer> {
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (route === undefined) return { status: 404, type: TEXT, body: "not found\n" };
    if (method !== "GET" && method !== "HEAD")
      return { status: 405, type: TEXT, body: "method not allowed\n" };
    return await route();
  }

  return (request, response) => {
    answer(request.method, request.url?.split("?", 1)[0] ?? "").then(
      ({ status, type, body }) => {
        // A cached answer about the present is a wrong one.
        response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
        if (request.method === "HEAD") response.end();
        else response.end(body);
      },
      (error: unknown) => {
        log.error({ err: error }, "a side route failed");
        response.writeHead(500);
        response.end();
      },
    );
  };
}
