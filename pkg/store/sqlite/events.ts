import type { JobEvent, JobRef } from "#pkg/job/index.ts";
import { type Database, sql } from "./database.ts";
import { eventOf } from "./rows.ts";

const APPEND = sql`
  INSERT INTO events (tenant_id, job_id, seq, type, from_status, to_status, reason, actor, term, at)
  VALUES (:tenant, :job, :seq, :type, :from, :to, :reason, :actor, :term, :at)`;

const LIST = sql`
  SELECT seq, type, from_status, to_status, reason, actor, term, at FROM events
  WHERE tenant_id = :tenant AND job_id = :job ORDER BY seq`;

/** Appends to a job's history, inside the transaction of the change that it tells of. */
export function appendEvent(db: Database, ref: JobRef, event: JobEvent): void {
  db.run(APPEND, {
    tenant: ref.tenantId,
    job: ref.jobId,
    seq: event.seq,
    type: event.type,
    from: event.from ?? null,
    to: event.to,
    reason: event.reason,
    actor: event.actor,
    term: event.term,
    at: event.atMs,
  });
}

export function listEvents(db: Database, ref: JobRef): readonly JobEvent[] {
  return db.all(LIST, { tenant: ref.tenantId, job: ref.jobId }).map(eventOf);
}
