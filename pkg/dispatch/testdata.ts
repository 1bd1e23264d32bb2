import type { BatchJobState } from "#pkg/batch/index.ts";
import { CreatePhase, type Job, JobStatus } from "#pkg/job/index.ts";

/** A row for the tests of the pure tables: PENDING, INTENDED, first attempt. */
export function jobRow(changes: Partial<Job> = {}): Job {
  return {
    tenantId: "tenant",
    jobId: "01890000-0000-7000-8000-000000000001",
    kind: "container",
    target: "local/a/b",
    level: 1,
    spec: {
      imageUri: "image",
      entrypoint: "/bin/true",
      commands: [],
      envNames: [],
      name: "",
      resourceProfile: "medium",
      machineType: "",
      bootDiskSizeGb: 0,
      useSpotVms: false,
      serviceAccount: "",
      maxRetries: 0,
      priority: 5,
      labels: {},
      requestedTarget: "",
    },
    sealedEnv: undefined,
    sealingKeyId: undefined,
    requestHash: "",
    idempotencyKey: undefined,
    status: JobStatus.Pending,
    attempt: 1,
    createPhase: CreatePhase.Intended,
    unstartedAttempts: 0,
    providerJobId: undefined,
    providerState: undefined,
    error: undefined,
    waitReason: undefined,
    owner: { workerId: "worker-1", term: 1 },
    version: 1,
    dueAtMs: undefined,
    cancelRequestedAtMs: undefined,
    deleteRequestedAtMs: undefined,
    retryOf: undefined,
    createdAtMs: 0,
    updatedAtMs: 0,
    startedAtMs: undefined,
    completedAtMs: undefined,
    ...changes,
  };
}

/** A batch job as a cloud tells of it: RUNNING, started at 1000. */
export function batchState(changes: Partial<BatchJobState> = {}): BatchJobState {
  return {
    batchJobId: "j00000000-01890000-0000-7000-8000-000000000001-1",
    providerJobId: "p-1",
    phase: "RUNNING",
    providerState: "running",
    startedAtMs: 1_000,
    endedAtMs: undefined,
    reason: undefined,
    message: undefined,
    exitCode: undefined,
    endedUnstarted: false,
    ...changes,
  };
}
