import { isTerminal } from "#pkg/job/index.ts";
import type { Deletion, WriteResult } from "#pkg/store/jobs.ts";
import type { Database } from "./database.ts";
import { getJob, keyOf } from "./get.ts";
import { sql } from "./reader.ts";
import { refBindings } from "./rows.ts";
import { integer, moment, type Row, text } from "./values.ts";

export const TOMBSTONES_OVER = sql`
  SELECT Found.TenantId, Found.JobId
  FROM UNNEST(GENERATE_ARRAY(0, 15)) AS Part CROSS JOIN UNNEST(ARRAY(
    SELECT AS STRUCT TenantId, JobId, KeepUntil FROM Tombstones@{FORCE_INDEX=TombstonesOver}
    WHERE Shard = Part AND KeepUntil <= @Now ORDER BY KeepUntil LIMIT @Limit)) AS Found
  ORDER BY Found.KeepUntil LIMIT @Limit`;

export const KEYS_OVER = sql`
  SELECT Found.TenantId, Found.IdempotencyKey
  FROM UNNEST(GENERATE_ARRAY(0, 15)) AS Part CROSS JOIN UNNEST(ARRAY(
    SELECT AS STRUCT TenantId, IdempotencyKey, KeepUntil FROM IdempotencyKeys@{FORCE_INDEX=IdempotencyKeysOver, spanner_emulator.disable_query_null_filtered_index_check=true}
    WHERE Shard = Part AND KeepUntil IS NOT NULL AND KeepUntil <= @Now ORDER BY KeepUntil LIMIT @Limit)) AS Found
  ORDER BY Found.KeepUntil LIMIT @Limit`;

/** The events go with the row, since they are interleaved in it. */
export async function deleteJob(db: Database, deletion: Deletion): Promise<WriteResult["kind"]> {
  return await db.transact(async (transaction) => {
    const job = await getJob(transaction, deletion);
    const isAsNamed =
      job !== undefined &&
      job.version === deletion.version &&
      job.owner?.workerId === deletion.owner.workerId &&
      job.owner.term === deletion.owner.term &&
      job.deleteRequestedAtMs !== undefined &&
      isTerminal(job.status);
    if (!isAsNamed) return "stale";
    transaction.insert("Tombstones", {
      ...refBindings(job),
      Attempt: integer(job.attempt),
      DeletedAt: moment(deletion.atMs),
      KeepUntil: moment(deletion.tombstoneUntilMs),
    });
    if (job.idempotencyKey !== undefined) {
      transaction.update("IdempotencyKeys", {
        TenantId: text(job.tenantId),
        IdempotencyKey: text(job.idempotencyKey),
        KeepUntil: moment(deletion.keyUntilMs),
      });
    }
    transaction.delete("Jobs", keyOf(job));
    return "applied";
  });
}

export async function purge(db: Database, nowMs: number, limit: number): Promise<number> {
  const buried = await purgeTable(db, TOMBSTONES_OVER, "Tombstones", "JobId", nowMs, limit);
  if (buried === limit) return buried;
  return (
    buried + (await purgeTable(db, KEYS_OVER, "IdempotencyKeys", "IdempotencyKey", nowMs, limit - buried))
  );
}

async function purgeTable(
  db: Database,
  search: typeof KEYS_OVER,
  table: string,
  name: string,
  nowMs: number,
  limit: number,
): Promise<number> {
  const found = await db.query(search, { Now: moment(nowMs), Limit: integer(limit) });
  if (found.length === 0) return 0;
  const keys = found.map((row: Row) => [text(row.TenantId as string), text(row[name] as string)]);
  return await db.transact(async (transaction) => {
    // A key that was forgotten meanwhile may be used by a new job, whose row is there: its time is not over.
    const rows = await transaction.read(table, ["TenantId", name, "KeepUntil"], keys);
    const over = rows.filter((row) => typeof row.KeepUntil === "number" && row.KeepUntil <= nowMs);
    for (const row of over)
      transaction.delete(table, [text(row.TenantId as string), text(row[name] as string)]);
    return over.length;
  });
}
