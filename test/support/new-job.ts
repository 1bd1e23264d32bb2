import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { CreatePhase, createJobId, JOB_LEVEL, JobStatus, KIND_CONTAINER } from "#pkg/job/index.ts";
import type { NewJob } from "#pkg/store/index.ts";

/** A row to insert: PENDING, INTENDED, of the target `test/target`, without an owner unless one is given. */
export function newJob(changes: Partial<NewJob> = {}): NewJob {
  return {
    tenantId: "tenant",
    jobId: createJobId(systemClock, systemEntropy),
    kind: KIND_CONTAINER,
    target: "test/target",
    level: JOB_LEVEL,
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
    requestHash: "hash",
    idempotencyKey: undefined,
    status: JobStatus.Pending,
    attempt: 1,
    createPhase: CreatePhase.Intended,
    unstartedAttempts: 0,
    providerJobId: undefined,
    providerState: undefined,
    error: undefined,
    waitReason: undefined,
    owner: undefined,
    dueAtMs: undefined,
    cancelRequestedAtMs: undefined,
    deleteRequestedAtMs: undefined,
    retryOf: undefined,
    createdAtMs: systemClock.nowMs(),
    startedAtMs: undefined,
    completedAtMs: undefined,
    ...changes,
  };
}
