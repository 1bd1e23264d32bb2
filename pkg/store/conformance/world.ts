import { createSeededEntropy } from "#pkg/clock/index.ts";
import {
  createJobId,
  type EventType,
  type Job,
  type JobRef,
  KIND_CONTAINER,
  type Owner,
} from "#pkg/job/index.ts";
import type { JobStore } from "#pkg/store/job-store.ts";
import type { ClaimRequest, JobChanges, JobUpdate, NewJob } from "#pkg/store/jobs.ts";
import type { BeginTerm, WorkerRecord } from "#pkg/store/workers.ts";

/** One database as two processes see it. */
export interface OpenedStores {
  readonly store: JobStore;
  /** A second handle on the same database, with nothing shared in this process. */
  readonly peer: JobStore;
  close(): Promise<void>;
}

/** What one case works in: names of its own, so that all cases can share a database. */
export interface World {
  readonly store: JobStore;
  readonly peer: JobStore;
  /** A fresh, empty database; the runner closes it. For what a database has only one of. */
  open(): Promise<OpenedStores>;
  readonly tenant: string;
  readonly target: string;
  /** A worker id of this case. */
  worker(name: string): string;
  /** An owner that no worker's row stands for: job writes never look at one. */
  readonly owner: Owner;
  newJob(parts?: Partial<NewJob> & { readonly name?: string; readonly priority?: number }): NewJob;
  insert(parts?: Parameters<World["newJob"]>[0]): Promise<Job>;
  update(job: Job, changes: JobChanges, event?: EventType): JobUpdate;
  /** Writes a change that must apply, as the job's owner. */
  apply(job: Job, changes: JobChanges): Promise<Job>;
  get(ref: JobRef): Promise<Job | undefined>;
  begin(workerId: string, instance: string, expected?: WorkerRecord): BeginTerm;
  /** The row of a worker, as the store has it now. */
  row(workerId: string): Promise<WorkerRecord | undefined>;
  claim(parts: Partial<ClaimRequest>): ClaimRequest;
}

/** Promises of the port, in words, and what shows each. */
export type Cases = Readonly<Record<string, (world: World) => Promise<void>>>;

/** The moment at which every case begins. Stores take all times from their callers. */
export const START_MS = 1_700_000_000_000;

let worlds = 0;

/** The targets of all worlds, since they share a database: each with those that its cases make up behind it. */
function allTargets(): string[] {
  const own = Array.from({ length: worlds }, (_, index) => `test/${index + 1}`);
  return own.flatMap((target) => [target, `${target}/other`, `${target}/elsewhere`]);
}

export function createWorld({ store, peer }: OpenedStores, open: World["open"]): World {
  const number = ++worlds;
  const entropy = createSeededEntropy(number * 7919);
  const tenant = `tenant-${number}`;
  const target = `test/${number}`;
  const owner = { workerId: `owner-${number}`, term: 1 };
  let made = 0;

  const world: World = {
    store,
    peer,
    open,
    tenant,
    target,
    owner,
    worker: (name) => `${name}-${number}`,
    newJob({ name = "", priority = 5, ...parts } = {}) {
      const createdAtMs = parts.createdAtMs ?? START_MS + made++;
      return {
        tenantId: tenant,
        jobId: createJobId({ nowMs: () => createdAtMs }, entropy),
        kind: KIND_CONTAINER,
        target,
        level: 1,
        spec: {
          imageUri: "registry.example/app:1",
          entrypoint: "/bin/sh",
          commands: ["-c", "echo hello"],
          envNames: [],
          name,
          resourceProfile: "medium",
          machineType: "",
          bootDiskSizeGb: 0,
          useSpotVms: false,
          serviceAccount: "",
          maxRetries: 0,
          priority,
          labels: {},
          requestedTarget: "",
        },
        sealedEnv: undefined,
        sealingKeyId: undefined,
        requestHash: "hash",
        idempotencyKey: undefined,
        status: "PENDING",
        attempt: 1,
        createPhase: "INTENDED",
        unstartedAttempts: 0,
        providerJobId: undefined,
        providerState: undefined,
        error: undefined,
        waitReason: undefined,
        owner,
        dueAtMs: undefined,
        cancelRequestedAtMs: undefined,
        deleteRequestedAtMs: undefined,
        retryOf: undefined,
        startedAtMs: undefined,
        completedAtMs: undefined,
        ...parts,
        createdAtMs,
      };
    },
    async insert(parts) {
      const [result] = await store.insertJobs([world.newJob(parts)]);
      if (result?.kind !== "inserted") throw new Error(`not inserted: ${JSON.stringify(result)}`);
      return result.job;
    },
    update: (job, changes, event) => ({
      tenantId: job.tenantId,
      jobId: job.jobId,
      version: job.version,
      owner: job.owner ?? owner,
      from: job.status,
      changes,
      event: event && { type: event, reason: "BECAUSE" },
      atMs: START_MS + 1_000,
    }),
    async apply(job, changes) {
      const [result] = await store.updateJobs([world.update(job, changes)]);
      if (result?.kind !== "applied") throw new Error(`not applied: ${JSON.stringify(result)}`);
      return result.job;
    },
    get: async (ref) => (await store.getJobs([ref]))[0],
    begin: (workerId, instance, expected) => ({
      workerId,
      instance,
      expected: expected && { term: expected.term, instance: expected.instance, over: expected.over },
      url: undefined,
      version: "1.0.0",
      level: 1,
      targets: [target],
      kinds: [KIND_CONTAINER],
      capacity: 10,
    }),
    row: async (workerId) => (await store.readWorkers()).find((row) => row.workerId === workerId),
    claim: (parts) => ({
      claimer: { workerId: `claimer-${number}`, term: 7 },
      targets: [target],
      level: 1,
      dead: [],
      livingTargets: allTargets(),
      nowMs: START_MS + 10_000,
      includeUnowned: false,
      limit: 100,
      ...parts,
    }),
  };
  return world;
}
