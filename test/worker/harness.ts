import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import { createLocalProvider } from "#pkg/batch/local/index.ts";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import {
  EventType,
  JOB_LEVEL,
  type Job,
  type JobRef,
  JobStatus,
  KIND_CONTAINER,
  type Owner,
} from "#pkg/job/index.ts";
import { createService } from "#pkg/lifecycle/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import type { JobStore, WorkerRecord } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import {
  createWorker,
  type Engine,
  type Foundation,
  readWorkerSettings,
  type Worker,
} from "#pkg/worker/index.ts";

export const SERVICE = "/jennah.v1.DeploymentService";

/** What an engine without a cloud does with a job that it is to begin: leaves it as it is, or waits to be told. */
export type Begin = (job: Job, signal: AbortSignal) => Promise<Job>;

export interface HarnessOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly workerId?: string;
  readonly dbPath?: string;
  readonly begin?: Begin;
  /** Where log lines go; for a start that fails. */
  readonly logs?: string[];
  /** How many jobs the worker has already. Default 0. */
  readonly activeJobs?: number;
  /** Awaited before the term begins, with the URL of a worker that is still starting. */
  readonly beforeTerm?: (url: string) => Promise<void>;
  /** Begin no term: the worker lives, and owns nothing. */
  readonly withoutTerm?: boolean;
}

export interface Harness extends AsyncDisposable {
  readonly worker: Worker;
  readonly url: string;
  readonly store: JobStore;
  readonly target: string;
  /** Every line that was logged. */
  readonly logs: readonly string[];
  /** What was left on rows, as the hints to the owner told. */
  readonly requested: readonly Job[];
  readonly grpc: Transport;
  /** A Connect call in JSON, as curl makes it. */
  post(method: string, body: unknown, headers?: Record<string, string>): Promise<JsonAnswer>;
  /** Ends a job as its owner would. */
  finish(ref: JobRef, status: JobStatus): Promise<Job>;
}

export interface JsonAnswer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON came; each test looks at what it knows to be there.
  readonly body: any;
  readonly text: string;
}

export const TENANT = { "X-Tenant-Id": "test-tenant" };

/** A whole worker on a port of its own, with a store of its own and an engine that keeps a term and starts nothing. */
export async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const logs: string[] = options.logs ?? [];
  const requested: Job[] = [];
  const log = createLogger({
    level: "debug",
    format: "json",
    destination: { write: (text) => void logs.push(text) },
  });
  const settings = readWorkerSettings(
    {
      BATCH_PROVIDER: "local",
      DB_PROVIDER: "sqlite",
      WORKER_PORT: "0",
      ALLOWED_SERVICE_ACCOUNTS: "allowed@example.com",
      ...options.env,
    },
    false,
  );
  const store = createSqliteStore({
    path: options.dbPath ?? ":memory:",
    clock: systemClock,
    entropy: systemEntropy,
    log,
  });
  const workerId = options.workerId ?? "worker-1";
  const workdir = await mkdtemp(join(tmpdir(), "jennah-worker-"));
  const provider = createLocalProvider({ workdir, clock: systemClock, entropy: systemEntropy, log });
  let owner: Owner | undefined;
  const worker = createWorker({
    settings,
    workerId,
    clock: systemClock,
    entropy: systemEntropy,
    log,
    store,
    providers: [provider],
    createEngine,
  });

  function createEngine(foundation: Foundation): Engine {
    let workers: readonly WorkerRecord[] = [];
    const begin: Begin = options.begin ?? (async (job) => job);
    return {
      ownership: {
        get owner() {
          return owner;
        },
        get workers() {
          return workers;
        },
        noteLostAnswer: () => undefined,
      },
      dispatcher: {
        begin,
        requested: (job) => void requested.push(job),
        activeJobs: options.activeJobs ?? 0,
      },
      retire: () => undefined,
      ended: new Promise(() => undefined),
      service: createService({
        name: "engine",
        async start() {
          await options.beforeTerm?.(`http://127.0.0.1:${worker.address().port}`);
          if (options.withoutTerm !== true)
            owner = await beginTerm(foundation.store, workerId, provider.target);
          workers = await foundation.store.readWorkers();
        },
        async drain() {
          if (owner !== undefined) await foundation.store.endTerm(owner, workerId);
          owner = undefined;
        },
      }),
    };
  }

  try {
    await worker.start();
  } catch (error) {
    await rm(workdir, { recursive: true });
    throw error;
  }
  const { port } = worker.address();
  const url = `http://127.0.0.1:${port}`;

  async function post(
    method: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<JsonAnswer> {
    const response = await fetch(`${url}${SERVICE}/${method}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...TENANT, ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return answerOf(response);
  }

  return {
    worker,
    url,
    store,
    target: provider.target,
    logs,
    requested,
    grpc: createGrpcTransport({ baseUrl: url }),
    post,
    async finish(ref, status) {
      const [job] = await store.getJobs([ref]);
      if (job?.owner === undefined) throw new Error("the job has no owner");
      const [result] = await store.updateJobs([
        {
          tenantId: job.tenantId,
          jobId: job.jobId,
          version: job.version,
          owner: job.owner,
          from: job.status,
          changes: { status, completedAtMs: systemClock.nowMs() },
          event: { type: EventType[status === JobStatus.Failed ? "Failed" : "Cancelled"], reason: "" },
          atMs: systemClock.nowMs(),
        },
      ]);
      if (result?.kind !== "applied") throw new Error("the write was stale");
      return result.job;
    },
    async [Symbol.asyncDispose]() {
      await worker.stop();
      await rm(workdir, { recursive: true });
    },
  };
}

export async function answerOf(response: Response): Promise<JsonAnswer> {
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") === true;
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? JSON.parse(text) : undefined,
    text,
  };
}

export function clientOf(transport: Transport) {
  return createClient(DeploymentService, transport);
}

async function beginTerm(store: JobStore, workerId: string, target: string): Promise<Owner> {
  const { row } = await store.beginTerm({
    workerId,
    instance: workerId,
    expected: undefined,
    url: undefined,
    version: "test",
    level: JOB_LEVEL,
    targets: [target],
    kinds: [KIND_CONTAINER],
    capacity: 100,
  });
  if (row === undefined) throw new Error("no term");
  return { workerId, term: row.term };
}
