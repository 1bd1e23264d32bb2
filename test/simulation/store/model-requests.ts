import { EventType, isActive, type Job, type JobRef, type Owner } from "#pkg/job/index.ts";
import type { JobStore, RequestKind, RequestResult } from "#pkg/store/index.ts";
import { appendEvent, byRef, type ModelState, readJob, writeJob } from "./model-state.ts";

type RequestAuthor = Parameters<JobStore["leaveRequest"]>[2];

export function leaveRequest(
  state: ModelState,
  ref: JobRef,
  request: RequestKind,
  by: RequestAuthor,
): RequestResult {
  const row = readJob(state, ref);
  if (row === undefined) return { kind: "missing" };
  return request === "cancel" ? leaveCancel(state, row, by) : leaveDelete(state, row, by);
}

function leaveCancel(state: ModelState, row: Job, by: RequestAuthor): RequestResult {
  if (!isActive(row.status)) return { kind: "refused", job: row };
  if (row.cancelRequestedAtMs !== undefined) return { kind: "left", first: false, job: row };
  return leave(state, { ...row, cancelRequestedAtMs: by.atMs }, EventType.CancelRequested, by);
}

function leaveDelete(state: ModelState, row: Job, by: RequestAuthor): RequestResult {
  if (isActive(row.status)) return { kind: "refused", job: row };
  if (row.deleteRequestedAtMs !== undefined) return { kind: "left", first: false, job: row };
  return leave(state, { ...row, deleteRequestedAtMs: by.atMs }, EventType.DeleteRequested, by);
}

function leave(state: ModelState, asked: Job, type: EventType, by: RequestAuthor): RequestResult {
  const job: Job = { ...asked, version: asked.version + 1, updatedAtMs: by.atMs };
  writeJob(state, job);
  appendEvent(state, job, {
    seq: job.version,
    type,
    from: job.status,
    to: job.status,
    reason: "",
    actor: by.actor,
    term: 0,
    atMs: by.atMs,
  });
  return { kind: "left", first: true, job };
}

/** Whether a request stands on the row that is not done: a cancel of an active job, or a delete. */
export function carriesRequest(job: Job): boolean {
  if (job.deleteRequestedAtMs !== undefined) return true;
  return isCancelDue(job);
}

/** Whether a cancel stands on an active job. */
export function isCancelDue(job: Job): boolean {
  return job.cancelRequestedAtMs !== undefined && isActive(job.status);
}

export function findRequests(state: ModelState, owner: Owner, after: JobRef | undefined, limit: number) {
  return pageOfOwner(state, owner, after, limit, carriesRequest);
}

export function findOwned(state: ModelState, owner: Owner, after: JobRef | undefined, limit: number) {
  return pageOfOwner(state, owner, after, limit, (job) => isActive(job.status));
}

function pageOfOwner(
  state: ModelState,
  owner: Owner,
  after: JobRef | undefined,
  limit: number,
  isWanted: (job: Job) => boolean,
): readonly Job[] {
  const wanted = [...state.jobs.values()].filter((job) => {
    if (job.owner?.workerId !== owner.workerId) return false;
    if (job.owner?.term !== owner.term) return false;
    if (after !== undefined && byRef(job, after) <= 0) return false;
    return isWanted(job);
  });
  return wanted.sort(byRef).slice(0, limit);
}
