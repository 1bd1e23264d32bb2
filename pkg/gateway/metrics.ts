import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { CallEnd } from "./call.ts";

/** What `/metrics` shows. No label ever holds a tenant, or anything else that a caller can choose at will. */
export interface GatewayMetrics {
  /** @param rpc its name in the contract, or `unknown`. */
  callEnded(rpc: string, protocol: string, end: CallEnd, durationMs: number): void;
  workerChanged(name: string, isReady: boolean): void;
  readonly contentType: string;
  /** All figures in Prometheus' text format. */
  show(): Promise<string>;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** @param inFlight asked when the figures are shown. */
export function createMetrics(inFlight: () => number): GatewayMetrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const calls = new Counter({
    name: "jennah_gateway_calls_total",
    help: "Calls that ended, by how the caller saw them end.",
    labelNames: ["rpc", "protocol", "code"],
    registers,
  });
  const repeats = new Counter({
    name: "jennah_gateway_repeats_total",
    help: "Calls that visited a second worker.",
    labelNames: ["rpc"],
    registers,
  });
  const seconds = new Histogram({
    name: "jennah_gateway_call_seconds",
    help: "Time from a call's headers to the end of its reply.",
    labelNames: ["rpc"],
    buckets: SECONDS,
    registers,
  });
  const ready = new Gauge({
    name: "jennah_gateway_worker_ready",
    help: "1 when calls are sent to the worker.",
    labelNames: ["worker"],
    registers,
  });
  new Gauge({
    name: "jennah_gateway_calls_in_flight",
    help: "Calls under way.",
    registers,
    collect() {
      this.set(inFlight());
    },
  });
  // Looking a label's child up by its object costs more than counting; there are few, and they are known again.
  const counters = new Map<string, { inc(): void }>();
  const timers = new Map<string, { observe(value: number): void }>();

  return {
    callEnded(rpc, protocol, end, durationMs) {
      const code = codeOf(end);
      child(counters, `${rpc} ${protocol} ${code}`, () => calls.labels(rpc, protocol, code)).inc();
      child(timers, rpc, () => seconds.labels(rpc)).observe(durationMs / 1000);
      if (end.visits > 1) repeats.labels(rpc).inc();
    },
    workerChanged: (name, isReady) => ready.labels(name).set(isReady ? 1 : 0),
    contentType: registry.contentType,
    show: () => registry.metrics(),
  };
}

function child<T>(known: Map<string, T>, key: string, make: () => T): T {
  let found = known.get(key);
  if (found === undefined) {
    found = make();
    known.set(key, found);
  }
  return found;
}

/** The caller's view: what cut it off, gRPC's status, or HTTP's. A worker's odd number is told as its class alone. */
function codeOf({ fault, grpcStatus, status }: CallEnd): string {
  if (fault === "caller_gone" || fault === "cut" || status === undefined) return fault ?? "none";
  if (grpcStatus !== undefined)
    return /^(?:\d|1[0-6])$/.test(grpcStatus) ? `grpc_${grpcStatus}` : "grpc_other";
  return KNOWN_STATUS.has(status) ? String(status) : `${Math.trunc(status / 100)}xx`;
}

const KNOWN_STATUS = new Set([200, 400, 401, 403, 404, 409, 415, 429, 499, 500, 501, 503, 504]);
