import { EventType, isActive, type Job, type JobRef, type Owner } from "#pkg/job/index.ts";
import type { RequestKind, RequestResult } from "#pkg/store/jobs.ts";
import { type Database, sql } from "./database.ts";
import { appendEvent } from "./events.ts";
import { getJob } from "./get.ts";
import { jobOf } from "./rows.ts";

const LEAVE_CANCEL = sql`
  UPDATE jobs SET cancel_requested_at = :at, version = :version, updated_at = :at
  WHERE tenant_id = :tenant AND job_id = :job`;

const LEAVE_DELETE = sql`
  UPDATE jobs SET delete_requested_at = :at, version = :version, updated_at = :at
  WHERE tenant_id = :tenant AND job_id = :job`;

/** The condition on the requests is the index's own, word for word, or the index is not used. */
export const FIND_REQUESTS = sql`
  SELECT * FROM jobs
  WHERE owner_id = :owner AND owner_term = :term AND (tenant_id, job_id) > (:tenant, :job)
    AND ((cancel_requested_at IS NOT NULL AND status IN ('PENDING', 'RUNNING')) OR delete_requested_at IS NOT NULL)
  ORDER BY tenant_id, job_id LIMIT :limit`;

export const FIND_OWNED = sql`
  SELECT * FROM jobs
  WHERE owner_id = :owner AND owner_term = :term AND (tenant_id, job_id) > (:tenant, :job)
    AND status IN ('PENDING', 'RUNNING') AND owner_id IS NOT NULL
  ORDER BY tenant_id, job_id LIMIT :limit`;

export function leaveRequest(
  db: Database,
  ref: JobRef,
  request: RequestKind,
  by: { readonly actor: string; readonly atMs: number },
): RequestResult {
  const before = getJob(db, ref);
  if (before === undefined) return { kind: "missing" };
  const isCancel = request === "cancel";
  if (isActive(before.status) !== isCancel) return { kind: "refused", job: before };
  const left = isCancel ? before.cancelRequestedAtMs : before.deleteRequestedAtMs;
  if (left !== undefined) return { kind: "left", first: false, job: before };

  const version = before.version + 1;
  db.run(isCancel ? LEAVE_CANCEL : LEAVE_DELETE, {
    tenant: ref.tenantId,
    job: ref.jobId,
    at: by.atMs,
    version,
  });
  appendEvent(db, ref, {
    seq: version,
    type: isCancel ? EventType.CancelRequested : EventType.DeleteRequested,
    from: before.status,
    to: before.status,
    reason: "",
    actor: by.actor,
    term: 0,
    atMs: by.atMs,
  });
  const requestedAt = isCancel ? { cancelRequestedAtMs: by.atMs } : { deleteRequestedAtMs: by.atMs };
  return { kind: "left", first: true, job: { ...before, ...requestedAt, version, updatedAtMs: by.atMs } };
}

export function findRequests(db: Database, owner: Owner, after: JobRef | undefined, limit: number) {
  return db.all(FIND_REQUESTS, pageBindings(owner, after, limit)).map(jobOf);
}

export function findOwned(db: Database, owner: Owner, after: JobRef | undefined, limit: number): Job[] {
  return db.all(FIND_OWNED, pageBindings(owner, after, limit)).map(jobOf);
}

function pageBindings(owner: Owner, after: JobRef | undefined, limit: number) {
  return {
    owner: owner.workerId,
    term: owner.term,
    // Every id is longer than "".
    tenant: after?.tenantId ?? "",
    job: after?.jobId ?? "",
    limit,
  };
}
