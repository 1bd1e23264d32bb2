import { isTerminal } from "#pkg/job/index.ts";
import type { Deletion, WriteResult } from "#pkg/store/jobs.ts";
import { type Database, sql } from "./database.ts";
import { getJob } from "./get.ts";

const BURY = sql`
  INSERT INTO tombstones (tenant_id, job_id, attempt, deleted_at, keep_until)
  VALUES (:tenant, :job, :attempt, :at, :until)`;

const KEEP_KEY = sql`
  UPDATE idempotency_keys SET keep_until = :until WHERE tenant_id = :tenant AND job_id = :job AND key = :key`;

/** The events go with it, by their foreign key. */
const DELETE = sql`DELETE FROM jobs WHERE tenant_id = :tenant AND job_id = :job`;

const PURGE_TOMBSTONES = sql`
  DELETE FROM tombstones WHERE rowid IN (
    SELECT rowid FROM tombstones WHERE keep_until <= :now ORDER BY keep_until LIMIT :limit)`;

const PURGE_KEYS = sql`
  DELETE FROM idempotency_keys WHERE rowid IN (
    SELECT rowid FROM idempotency_keys WHERE keep_until IS NOT NULL AND keep_until <= :now
    ORDER BY keep_until LIMIT :limit)`;

export function deleteJob(db: Database, deletion: Deletion): WriteResult["kind"] {
  const job = getJob(db, deletion);
  const isAsNamed =
    job !== undefined &&
    job.version === deletion.version &&
    job.owner?.workerId === deletion.owner.workerId &&
    job.owner.term === deletion.owner.term &&
    job.deleteRequestedAtMs !== undefined &&
    isTerminal(job.status);
  if (!isAsNamed) return "stale";
  const ref = { tenant: deletion.tenantId, job: deletion.jobId };
  db.run(BURY, { ...ref, attempt: job.attempt, at: deletion.atMs, until: deletion.tombstoneUntilMs });
  if (job.idempotencyKey !== undefined) {
    db.run(KEEP_KEY, { ...ref, key: job.idempotencyKey, until: deletion.keyUntilMs });
  }
  db.run(DELETE, ref);
  return "applied";
}

export function purge(db: Database, nowMs: number, limit: number): number {
  const tombstones = db.run(PURGE_TOMBSTONES, { now: nowMs, limit });
  return tombstones + db.run(PURGE_KEYS, { now: nowMs, limit: limit - tombstones });
}
