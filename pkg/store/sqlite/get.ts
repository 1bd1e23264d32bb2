import type { Job, JobRef } from "#pkg/job/index.ts";
import type { JobLookup, UsedKey } from "#pkg/store/jobs.ts";
import { type Database, sql } from "./database.ts";
import { jobOf } from "./rows.ts";

const ONE = sql`SELECT * FROM jobs WHERE tenant_id = :tenant AND job_id = :job`;
const BY_ID = sql`SELECT * FROM jobs WHERE job_id = :job LIMIT 1`;
const TOMBSTONE = sql`SELECT 1 FROM tombstones WHERE tenant_id = :tenant AND job_id = :job`;
const TOMBSTONE_BY_ID = sql`SELECT 1 FROM tombstones WHERE job_id = :job LIMIT 1`;
const KEY = sql`SELECT job_id, request_hash FROM idempotency_keys WHERE tenant_id = :tenant AND key = :key`;

export function getJob(db: Database, ref: JobRef): Job | undefined {
  const row = db.get(ONE, { tenant: ref.tenantId, job: ref.jobId });
  return row && jobOf(row);
}

export function getJobs(db: Database, refs: readonly JobRef[]): readonly Job[] {
  return refs.map((ref) => getJob(db, ref)).filter((job) => job !== undefined);
}

export function hasTombstone(db: Database, ref: JobRef): boolean {
  return db.get(TOMBSTONE, { tenant: ref.tenantId, job: ref.jobId }) !== undefined;
}

export function findKey(db: Database, tenantId: string, key: string): UsedKey | undefined {
  const row = db.get(KEY, { tenant: tenantId, key });
  return row && { jobId: row.job_id as string, requestHash: row.request_hash as string };
}

export function lookUpJobs(db: Database, jobIds: readonly string[]): readonly JobLookup[] {
  return jobIds.map((job) => {
    const row = db.get(BY_ID, { job });
    if (row !== undefined) return { kind: "present", job: jobOf(row) };
    return { kind: db.get(TOMBSTONE_BY_ID, { job }) === undefined ? "unknown" : "tombstone" };
  });
}
