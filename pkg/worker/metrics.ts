import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Job } from "#pkg/job/index.ts";
import type { CallEnd } from "#pkg/rpc/index.ts";

/** From a read of a cached page to a submit that waits for a cloud; seconds. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** The worker's figures. No label ever is a tenant: there are too many, and who they are is nobody else's business. */
export interface Metrics {
  /** Begins to collect what the process says of itself. */
  start(): void;
  stop(): void;
  observeCall(end: CallEnd): void;
  observeEnd(job: Job): void;
  readonly contentType: string;
  /** In the text format of Prometheus. */
  text(): Promise<string>;
}

export function createMetrics(source: {
  readonly activeJobs: () => number;
  readonly holdsTerm: () => boolean;
}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const calls = new Counter({
    name: "jennah_rpc_calls_total",
    help: "Calls answered, by RPC and Connect code",
    labelNames: ["rpc", "code"],
    registers,
  });
  const durations = new Histogram({
    name: "jennah_rpc_duration_seconds",
    help: "Time from a call's headers to its answer, by RPC",
    labelNames: ["rpc"],
    buckets: DURATION_BUCKETS,
    registers,
  });
  const ended = new Counter({
    name: "jennah_jobs_ended_total",
    help: "Jobs that reached their end under this worker, by status",
    labelNames: ["status"],
    registers,
  });
  new Gauge({
    name: "jennah_active_jobs",
    help: "PENDING and RUNNING jobs that this worker owns",
    registers,
    collect() {
      this.set(source.activeJobs());
    },
  });
  new Gauge({
    name: "jennah_term_held",
    help: "1 while this worker holds an open term",
    registers,
    collect() {
      this.set(source.holdsTerm() ? 1 : 0);
    },
  });

  return {
    start: () => collectDefaultMetrics({ register: registry }),
    stop: () => registry.clear(),
    observeCall({ rpc, code, durationMs }) {
      calls.inc({ rpc, code });
      durations.observe({ rpc }, durationMs / 1000);
    },
    observeEnd({ status }) {
      ended.inc({ status });
    },
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}
