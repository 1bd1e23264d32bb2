import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "#pkg/clock/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";
import { freePorts } from "#test/support/ports.ts";
import { type Backend, type OpenStore, SQLITE_AND_LOCAL } from "./backends.ts";

/** TTL and claim interval of every cluster under test; milliseconds. */
export const TTL_MS = 3_000;
export const CLAIM_INTERVAL_MS = 1_000;
/** The bound of a takeover, with ten seconds for a busy machine. */
export const TAKEOVER_MS = TTL_MS + 2 * CLAIM_INTERVAL_MS + 10_000;

const GATEWAY = fileURLToPath(new URL("../../cmd/gateway/main.ts", import.meta.url));
const WORKER = fileURLToPath(new URL("../../cmd/worker/main.ts", import.meta.url));

/** A job as `GetJob` answers it, in JSON. */
export interface JobJson {
  readonly job_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly owner?: string;
  readonly wait_reason?: string;
  readonly provider_state?: string;
  readonly error?: { readonly reason: string; readonly message: string; readonly exit_code?: number };
  readonly events?: readonly {
    readonly seq: number;
    readonly type: string;
    readonly actor?: string;
    readonly reason?: string;
  }[];
  readonly [field: string]: unknown;
}

export interface Answer<T> {
  readonly status: number;
  readonly body: T & { readonly code?: string; readonly message?: string };
  readonly headers: Headers;
}

export interface ClusterOptions {
  /** Default: sqlite + local. */
  readonly backend?: Omit<Backend, "name">;
  readonly workers?: number;
  /** Settings of every worker. */
  readonly env?: Readonly<Record<string, string>>;
  /** Settings of single workers, by name. */
  readonly workerEnv?: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly gatewayEnv?: Readonly<Record<string, string>>;
}

/** A gateway and workers as real processes, over rows and a folder of their own. */
export interface Cluster {
  readonly folder: string;
  /** The rows, by a handle of the test's own. */
  readonly store: JobStore;
  /** Freezes a worker without keeping anybody else from writing rows. */
  freeze(worker: NodeProcess): Promise<void>;
  /** Lets nobody write rows for as long as `act` takes. */
  whileBlocked: OpenStore["whileBlocked"];
  readonly gatewayUrl: string;
  readonly gateway: NodeProcess;
  worker(name: string): NodeProcess;
  readonly workerNames: readonly string[];
  urlOf(worker: string): string;
  /** Starts a process of this name, whatever became of the last; resolves when it serves. */
  startWorker(name: string, env?: Readonly<Record<string, string>>): Promise<NodeProcess>;
  /** The same without waiting. */
  launchWorker(name: string, env?: Readonly<Record<string, string>>): NodeProcess;
  startGateway(): Promise<NodeProcess>;
  /** One call of the API with JSON; through the gateway unless another base URL is given. */
  call<T = Record<string, unknown>>(
    rpc: string,
    tenant: string,
    body: object,
    options?: {
      readonly headers?: Readonly<Record<string, string>>;
      readonly url?: string;
      readonly signal?: AbortSignal;
    },
  ): Promise<Answer<T>>;
  getJob(tenant: string, jobId: string): Promise<JobJson>;
  /** Resolves with the job once `holds`; asks again where nobody can answer for the moment, as callers are told to. */
  until(tenant: string, jobId: string, holds: (job: JobJson) => boolean): Promise<JobJson>;
  /** Submits a shell script; answers its id. */
  submit(tenant: string, script: string, more?: object): Promise<string>;
  /** The lines of a file in the cluster's folder; none while it is not there. */
  linesOf(file: string): Promise<string[]>;
  stop(): Promise<void>;
}

export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const folder = await mkdtemp(join(tmpdir(), "jennah-e2e-"));
  const names = Array.from({ length: options.workers ?? 3 }, (_, index) => `worker-${index + 1}`);
  const [gatewayPort = 0, ...workerPorts] = await freePorts(names.length + 1);
  const ports = new Map(names.map((name, index) => [name, workerPorts[index] ?? 0]));
  const processes = new Map<string, NodeProcess>();
  const all: NodeProcess[] = [];
  const { backend = SQLITE_AND_LOCAL } = options;
  const rows = await backend.store.open(folder);
  const gatewayUrl = `http://127.0.0.1:${gatewayPort}`;
  const urlOf = (name: string) => `http://127.0.0.1:${ports.get(name)}`;

  function launch(name: string, module: string, env: Readonly<Record<string, string>>): NodeProcess {
    const started = startNode(module, { LOG_FORMAT: "json", ...env }, folder);
    processes.set(name, started);
    all.push(started);
    return started;
  }

  function launchWorker(name: string, env: Readonly<Record<string, string>> = {}): NodeProcess {
    return launch(name, WORKER, {
      WORKER_ID: name,
      WORKER_PORT: String(ports.get(name)),
      WORKER_LEASE_TTL_SECONDS: String(TTL_MS / 1000),
      WORKER_CLAIM_INTERVAL_SECONDS: String(CLAIM_INTERVAL_MS / 1000),
      ...backend.batchEnv(folder),
      ...rows.env,
      ...options.env,
      ...options.workerEnv?.[name],
      ...env,
    });
  }

  async function startWorker(name: string, env?: Readonly<Record<string, string>>): Promise<NodeProcess> {
    const started = launchWorker(name, env);
    await started.line((line) => line.includes("Worker listening on"));
    return started;
  }

  async function startGateway(): Promise<NodeProcess> {
    const started = launch("gateway", GATEWAY, {
      GATEWAY_HOST: "127.0.0.1",
      GATEWAY_PORT: String(gatewayPort),
      GATEWAY_HEALTH_INTERVAL_SECONDS: "2",
      WORKER_URLS: names.map((name) => `${name}=${urlOf(name)}`).join(","),
      ...options.gatewayEnv,
    });
    await started.line((line) => line.includes("Gateway listening on"));
    await eventually(
      () =>
        fetch(`${gatewayUrl}/ready`).then(
          (response) => response.ok,
          () => false,
        ),
      (ready) => ready,
    );
    return started;
  }

  function processOf(name: string): NodeProcess {
    const found = processes.get(name);
    if (found === undefined) throw new Error(`no process was started as ${name}`);
    return found;
  }

  const cluster: Cluster = {
    folder,
    store: rows.handle,
    freeze: rows.freeze,
    whileBlocked: rows.whileBlocked,
    gatewayUrl,
    workerNames: names,
    urlOf,
    get gateway() {
      return processOf("gateway");
    },
    worker: processOf,
    startWorker,
    launchWorker,
    startGateway,
    async call(rpc, tenant, body, { headers, url = gatewayUrl, signal } = {}) {
      const response = await fetch(`${url}/jennah.v1.DeploymentService/${rpc}`, {
        method: "POST",
        headers: { "content-type": "application/json", "x-tenant-id": tenant, ...headers },
        body: JSON.stringify(body),
        signal: signal ?? null,
      });
      return { status: response.status, body: (await response.json()) as never, headers: response.headers };
    },
    async getJob(tenant, jobId) {
      const { status, body } = await cluster.call<{ job: JobJson }>("GetJob", tenant, { job_id: jobId });
      if (status !== 200)
        throw new Error(`GetJob answered ${status}: ${JSON.stringify(body)}`, { cause: body.code });
      return body.job;
    },
    async until(tenant, jobId, holds) {
      const job = await eventually(
        () => cluster.getJob(tenant, jobId).catch(undefinedIfUnavailable),
        (answer) => answer !== undefined && holds(answer),
      );
      if (job === undefined) throw new Error("what holds of a job has one");
      return job;
    },
    async submit(tenant, script, more = {}) {
      const { status, body } = await cluster.call<{ job_id: string }>("SubmitJob", tenant, {
        image_uri: "app:latest",
        entrypoint: "/bin/sh",
        commands: ["-c", script],
        ...more,
      });
      if (status !== 200) throw new Error(`SubmitJob answered ${status}: ${JSON.stringify(body)}`);
      return body.job_id;
    },
    async linesOf(file) {
      const text = await readFile(join(folder, file), "utf8").catch(() => "");
      return text.split("\n").filter((line) => line !== "");
    },
    async stop() {
      await Promise.all([...all.map((each) => each.kill()), rows.handle.stop()]);
      await endJobs(folder);
      await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
    },
  };
  try {
    await Promise.all(names.map((name) => startWorker(name)));
    await Promise.all([startGateway(), rows.handle.start()]);
  } catch (error) {
    await cluster.stop();
    throw error;
  }
  return cluster;
}

function undefinedIfUnavailable(error: unknown): undefined {
  if (!(error instanceof Error) || error.cause !== "unavailable") throw error;
}

/** Jobs outlive the cluster by design; those of a test must not outlive the test. Their folder is in their environment. */
async function endJobs(folder: string): Promise<void> {
  const { readdir } = await import("node:fs/promises");
  for (const pid of (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    if (!environment.includes(folder) || Number(pid) === process.pid) continue;
    try {
      process.kill(Number(pid), "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
  await systemClock.yield();
}
