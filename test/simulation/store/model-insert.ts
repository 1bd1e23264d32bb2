import { EventType, type Job } from "#pkg/job/index.ts";
import type { InsertResult, NewJob } from "#pkg/store/index.ts";
import { appendEvent, keyNameOf, type ModelState, nameOf, readJob, writeJob } from "./model-state.ts";

const DELETED: InsertResult = { kind: "conflict", reason: "DELETED" };
const DIFFERENT: InsertResult = { kind: "conflict", reason: "DIFFERENT_REQUEST" };

export function insertJobs(state: ModelState, jobs: readonly NewJob[]): readonly InsertResult[] {
  return jobs.map((job) => {
    const sameId = earlierUseOfId(state, job);
    if (sameId !== undefined) return sameId;
    const sameKey = earlierUseOfKey(state, job);
    if (sameKey !== undefined) return sameKey;
    return insertJob(state, job);
  });
}

function earlierUseOfId(state: ModelState, job: NewJob): InsertResult | undefined {
  const present = readJob(state, job);
  if (present !== undefined) return repeatOf(present);
  if (state.tombstones.has(nameOf(job))) return DELETED;
  return undefined;
}

function earlierUseOfKey(state: ModelState, job: NewJob): InsertResult | undefined {
  if (job.idempotencyKey === undefined) return undefined;
  const used = state.keys.get(keyNameOf(job.tenantId, job.idempotencyKey));
  if (used === undefined) return undefined;
  if (used.requestHash !== job.requestHash) return DIFFERENT;
  const first = readJob(state, { tenantId: job.tenantId, jobId: used.jobId });
  if (first === undefined) return DELETED;
  return repeatOf(first);
}

function repeatOf(job: Job): InsertResult {
  if (job.deleteRequestedAtMs !== undefined) return DELETED;
  return { kind: "repeated", job };
}

function insertJob(state: ModelState, fresh: NewJob): InsertResult {
  const job: Job = { ...fresh, version: 1, updatedAtMs: fresh.createdAtMs };
  writeJob(state, job);
  useKey(state, job);
  appendEvent(state, job, {
    seq: job.version,
    type: EventType.Submitted,
    from: undefined,
    to: job.status,
    reason: "",
    actor: job.owner?.workerId ?? "",
    term: job.owner?.term ?? 0,
    atMs: job.createdAtMs,
  });
  return { kind: "inserted", job };
}

function useKey(state: ModelState, job: Job): void {
  if (job.idempotencyKey === undefined) return;
  state.keys.set(keyNameOf(job.tenantId, job.idempotencyKey), {
    jobId: job.jobId,
    requestHash: job.requestHash,
    keepUntilMs: undefined,
  });
}
