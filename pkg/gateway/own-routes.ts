import type { GatewayMetrics } from "./metrics.ts";

/** What the gateway answers about itself, without a tenant. */
export interface OwnReply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** Why the gateway is not ready; the whole vocabulary. */
export const UnreadyReason = { NoWorkerReady: "NO_WORKER_READY", Draining: "DRAINING" } as const;
export type UnreadyReason = (typeof UnreadyReason)[keyof typeof UnreadyReason];

export interface OwnRoutesOptions {
  readonly metrics: GatewayMetrics;
  /** Undefined when calls can be served. */
  unreadyReason(): UnreadyReason | undefined;
}

const JSON_TYPE = "application/json";

/** Answers `/health`, `/ready` and `/metrics` on GET and HEAD; undefined for every other request. */
export function ownReply(
  options: OwnRoutesOptions,
  method: string,
  target: string,
): Promise<OwnReply> | undefined {
  if (method !== "GET" && method !== "HEAD") return undefined;
  switch (target.split("?", 1)[0]) {
    case "/health":
      return Promise.resolve({ status: 200, contentType: "text/plain; charset=utf-8", body: "OK" });
    case "/ready":
      return Promise.resolve(readiness(options.unreadyReason()));
    case "/metrics":
      return figures(options.metrics);
    default:
      return undefined;
  }
}

function readiness(reason: UnreadyReason | undefined): OwnReply {
  const words = reason === undefined ? { ready: true } : { ready: false, reason };
  return { status: reason === undefined ? 200 : 503, contentType: JSON_TYPE, body: JSON.stringify(words) };
}

async function figures(metrics: GatewayMetrics): Promise<OwnReply> {
  return { status: 200, contentType: metrics.contentType, body: await metrics.show() };
}
