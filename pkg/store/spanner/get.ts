import type { Job, JobRef } from "#pkg/job/index.ts";
import type { JobLookup, UsedKey } from "#pkg/store/jobs.ts";
import { type Key, type Reader, sql } from "./reader.ts";
import { JOB_COLUMNS, jobOf } from "./rows.ts";
import { text, texts } from "./values.ts";

/** The shard is computed as the schema does, or the index is not used. */
export const BY_ID = sql`
  SELECT Jobs.* FROM UNNEST(@Ids) AS Wanted
  JOIN Jobs@{FORCE_INDEX=JobsById} ON Jobs.Shard = (FARM_FINGERPRINT(Wanted) & 15) AND Jobs.JobId = Wanted`;

export const TOMBSTONES_BY_ID = sql`
  SELECT Tombstones.JobId FROM UNNEST(@Ids) AS Wanted
  JOIN Tombstones@{FORCE_INDEX=TombstonesById}
    ON Tombstones.Shard = (FARM_FINGERPRINT(Wanted) & 15) AND Tombstones.JobId = Wanted`;

export function keyOf(ref: JobRef): Key {
  return [text(ref.tenantId), text(ref.jobId)];
}

export async function getJobs(db: Reader, refs: readonly JobRef[]): Promise<readonly Job[]> {
  return (await db.read("Jobs", JOB_COLUMNS, refs.map(keyOf))).map(jobOf);
}

export async function getJob(db: Reader, ref: JobRef): Promise<Job | undefined> {
  return (await getJobs(db, [ref]))[0];
}

export async function hasTombstone(db: Reader, ref: JobRef): Promise<boolean> {
  return (await db.read("Tombstones", ["JobId"], [keyOf(ref)])).length > 0;
}

export async function findKey(db: Reader, tenantId: string, key: string): Promise<UsedKey | undefined> {
  const [row] = await db.read("IdempotencyKeys", ["JobId", "RequestHash"], [[text(tenantId), text(key)]]);
  return row && { jobId: row.JobId as string, requestHash: row.RequestHash as string };
}

/** Jobs first: one that is deleted between the two reads is found by the second. */
export async function lookUpJobs(db: Reader, jobIds: readonly string[]): Promise<readonly JobLookup[]> {
  if (jobIds.length === 0) return [];
  const ids = { Ids: texts([...new Set(jobIds)]) };
  const jobs = new Map((await db.query(BY_ID, ids)).map(jobOf).map((job) => [job.jobId, job]));
  const buried = new Set((await db.query(TOMBSTONES_BY_ID, ids)).map((row) => row.JobId));
  return jobIds.map((jobId) => {
    const job = jobs.get(jobId);
    if (job !== undefined) return { kind: "present", job };
    return { kind: buried.has(jobId) ? "tombstone" : "unknown" };
  });
}
