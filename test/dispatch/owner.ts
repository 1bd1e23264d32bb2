import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BatchProvider, createCallBudget } from "#pkg/batch/index.ts";
import { createLocalProvider } from "#pkg/batch/local/index.ts";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { createDispatcher, type Dispatcher } from "#pkg/dispatch/index.ts";
import type { Job, Owner } from "#pkg/job/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import type { JobStore, NewJob } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { createTracker, type Tracker } from "#pkg/tracking/index.ts";
import { newJob } from "#test/support/new-job.ts";
import { eventually } from "#test/support/node-process.ts";

const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });

export interface OwnerOptions {
  /** Comes between dispatch and the real store. */
  readonly storeBetween?: (store: JobStore) => JobStore;
  /** Comes between dispatch and the real local provider. */
  readonly providerBetween?: (provider: BatchProvider) => BatchProvider;
  readonly settleMs?: number;
}

/**
 * An owner with dispatch and tracking over the real SQLite store and the real local provider, whose term is held in the
 * store and whose trust is told by the test; with room between them for what a network does.
 */
export interface OwnerUnderTest {
  readonly store: JobStore;
  readonly provider: BatchProvider;
  readonly dispatcher: Dispatcher;
  /** Who this owner takes itself for; set to undefined, it holds no term. */
  reign: { owner: Owner | undefined; trustedMs: number };
  insert(script: string, changes?: Partial<NewJob>): Promise<Job>;
  job(jobId: string): Promise<Job | undefined>;
  /** Resolves with the row once `holds`. */
  until(jobId: string, holds: (job: Job | undefined) => boolean): Promise<Job | undefined>;
  /** Another worker leaves a request, and does not tell the owner. */
  requestBehindItsBack(jobId: string, request: "cancel" | "delete"): Promise<void>;
  linesOf(file: string): Promise<string[]>;
  readonly folder: string;
  stop(): Promise<void>;
}

export async function startOwner(options: OwnerOptions = {}): Promise<OwnerUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), "jennah-dispatch-"));
  const store = createSqliteStore({ path: join(folder, "jennah.db"), clock, entropy, log });
  const provider = createLocalProvider({
    workdir: join(folder, "local"),
    clock,
    entropy,
    log,
    graceSeconds: 1,
  });
  await store.start();
  await provider.start();
  await store.beginTerm({
    workerId: "me",
    instance: "me-1",
    expected: undefined,
    url: undefined,
    version: "test",
    level: 1,
    targets: [provider.target],
    kinds: ["container"],
    capacity: 100,
  });
  const reign: OwnerUnderTest["reign"] = { owner: { workerId: "me", term: 1 }, trustedMs: 60_000 };
  const budget = createCallBudget({ clock, entropy, callsPerSecond: () => 1_000 });
  const between = options.providerBetween?.(provider) ?? provider;
  const targets = [{ provider: between, budget }];
  let dispatcher: Dispatcher;
  const tracker: Tracker = createTracker({
    clock,
    entropy,
    log,
    targets,
    onObserved: (...news) => dispatcher.observed(...news),
  });
  dispatcher = createDispatcher({
    store: options.storeBetween?.(store) ?? store,
    clock,
    entropy,
    log,
    deploymentId: (await store.meta()).deploymentId,
    targets,
    settleMs: options.settleMs ?? 500,
    reign: {
      get owner() {
        return reign.owner;
      },
      trustedForMs: () => reign.trustedMs,
    },
    openEnv: () => ({}),
    watcher: tracker,
  });
  await dispatcher.start();
  await tracker.start();

  const job = async (jobId: string) => (await store.getJobs([{ tenantId: "tenant", jobId }]))[0];
  return {
    store,
    provider,
    dispatcher,
    reign,
    folder,
    job,
    async insert(script, changes = {}) {
      const row = newJob({ target: provider.target, owner: { workerId: "me", term: 1 }, ...changes });
      const spec = { ...row.spec, entrypoint: "/bin/sh", commands: ["-c", script] };
      const [result] = await store.insertJobs([{ ...row, spec: { ...spec, ...changes.spec } }]);
      if (result?.kind !== "inserted") throw new Error("a new id is inserted");
      return result.job;
    },
    until: (jobId, holds) => eventually(() => job(jobId), holds),
    async requestBehindItsBack(jobId, request) {
      const by = { actor: "another", atMs: clock.nowMs() };
      await store.leaveRequest({ tenantId: "tenant", jobId }, request, by);
    },
    async linesOf(file) {
      const text = await readFile(join(folder, file), "utf8").catch(() => "");
      return text.split("\n").filter((line) => line !== "");
    },
    async stop() {
      await dispatcher.stop();
      await tracker.stop();
      await provider.stop();
      await store.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}
