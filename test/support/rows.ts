import type { BatchJobState } from "#pkg/batch/index.ts";
import type { Job } from "#pkg/job/index.ts";
import { newJob } from "./new-job.ts";

/** A row for tests of the pure tables: PENDING, INTENDED, first attempt, owned by worker-1 in its first term. */
export function jobRow(changes: Partial<Job> = {}): Job {
  return { ...newJob({ owner: { workerId: "worker-1", term: 1 } }), version: 1, updatedAtMs: 0, ...changes };
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
