import { EventType, isActive, type Job, type JobRef, type Owner } from "#pkg/job/index.ts";
import type { RequestKind, RequestResult } from "#pkg/store/jobs.ts";
import type { Database } from "./database.ts";
import { appendEvent } from "./events.ts";
import { getJob } from "./get.ts";
import { type Reader, sql } from "./reader.ts";
import { jobOf, refBindings, writeBindings } from "./rows.ts";
import { integer, moment, text } from "./values.ts";

// What is NOT NULL is said so, although the equality says it too: or a null-filtered index is not used.

export const FIND_REQUESTS = sql`
  SELECT Jobs.* FROM (
    SELECT TenantId, JobId FROM Jobs@{FORCE_INDEX=JobsRequested, spanner_emulator.disable_query_null_filtered_index_check=true}
    WHERE RequestOwner IS NOT NULL AND RequestOwner = @Owner AND OwnerTerm = @Term
      AND (TenantId > @Tenant OR (TenantId = @Tenant AND JobId > @Job))
    ORDER BY TenantId, JobId LIMIT @Limit) AS Found
  JOIN@{JOIN_METHOD=APPLY_JOIN} Jobs ON Jobs.TenantId = Found.TenantId AND Jobs.JobId = Found.JobId
  ORDER BY Jobs.TenantId, Jobs.JobId`;

export const FIND_OWNED = sql`
  SELECT Jobs.* FROM (
    SELECT TenantId, JobId FROM Jobs@{FORCE_INDEX=JobsOwned, spanner_emulator.disable_query_null_filtered_index_check=true}
    WHERE ActiveOwner IS NOT NULL AND ActiveOwner = @Owner AND OwnerTerm IS NOT NULL AND OwnerTerm = @Term
      AND (TenantId > @Tenant OR (TenantId = @Tenant AND JobId > @Job))
    ORDER BY TenantId, JobId LIMIT @Limit) AS Found
  JOIN@{JOIN_METHOD=APPLY_JOIN} Jobs ON Jobs.TenantId = Found.TenantId AND Jobs.JobId = Found.JobId
  ORDER BY Jobs.TenantId, Jobs.JobId`;

export async function leaveRequest(
  db: Database,
  ref: JobRef,
  request: RequestKind,
  by: { readonly actor: string; readonly atMs: number },
): Promise<RequestResult> {
  const isCancel = request === "cancel";
  return await db.transact(async (transaction): Promise<RequestResult> => {
    const before = await getJob(transaction, ref);
    if (before === undefined) return { kind: "missing" };
    if (isActive(before.status) !== isCancel) return { kind: "refused", job: before };
    const left = isCancel ? before.cancelRequestedAtMs : before.deleteRequestedAtMs;
    if (left !== undefined) return { kind: "left", first: false, job: before };

    const requestedAt = isCancel ? { cancelRequestedAtMs: by.atMs } : { deleteRequestedAtMs: by.atMs };
    const job: Job = { ...before, ...requestedAt, version: before.version + 1, updatedAtMs: by.atMs };
    transaction.update("Jobs", {
      ...refBindings(job),
      [isCancel ? "CancelRequestedAt" : "DeleteRequestedAt"]: moment(by.atMs),
      ...writeBindings(job),
    });
    appendEvent(transaction, job, {
      seq: job.version,
      type: isCancel ? EventType.CancelRequested : EventType.DeleteRequested,
      from: job.status,
      to: job.status,
      reason: "",
      actor: by.actor,
      term: 0,
      atMs: by.atMs,
    });
    return { kind: "left", first: true, job };
  });
}

export async function findRequests(
  db: Reader,
  owner: Owner,
  after: JobRef | undefined,
  limit: number,
): Promise<readonly Job[]> {
  return (await db.query(FIND_REQUESTS, pageBindings(owner, after, limit))).map(jobOf);
}

export async function findOwned(
  db: Reader,
  owner: Owner,
  after: JobRef | undefined,
  limit: number,
): Promise<readonly Job[]> {
  return (await db.query(FIND_OWNED, pageBindings(owner, after, limit))).map(jobOf);
}

function pageBindings(owner: Owner, after: JobRef | undefined, limit: number) {
  return {
    Owner: text(owner.workerId),
    Term: integer(owner.term),
    // Every id is longer than "".
    Tenant: text(after?.tenantId ?? ""),
    Job: text(after?.jobId ?? ""),
    Limit: integer(limit),
  };
}
