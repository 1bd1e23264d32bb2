import { EventType, type Job, type JobRef } from "#pkg/job/index.ts";
import type { InsertResult, NewJob } from "#pkg/store/jobs.ts";
import type { Database } from "./database.ts";
import { appendEvent } from "./events.ts";
import { getJobs, keyOf } from "./get.ts";
import { jobBindings } from "./rows.ts";
import type { TenantCache } from "./tenant-cache.ts";
import type { Transaction } from "./transaction.ts";
import { moment, text } from "./values.ts";

const DELETED: InsertResult = { kind: "conflict", reason: "DELETED" };

/** What stands in the way of an insert, as the transaction sees it: what was committed, and what this group adds. */
interface Surroundings {
  readonly tenants: Set<string>;
  /** By `nameOf`. */
  readonly jobs: Map<string, Job>;
  readonly tombstones: ReadonlySet<string>;
  /** By tenant and key. */
  readonly keys: Map<string, { readonly jobId: string; readonly requestHash: string }>;
}

/** One commit, however many jobs: all of it is read by primary key, so groups of other jobs do not meet it. */
export async function insertJobs(
  db: Database,
  tenants: TenantCache,
  jobs: readonly NewJob[],
): Promise<readonly InsertResult[]> {
  if (jobs.length === 0) return [];
  const results = await db.transact(async (transaction) => {
    const around = await lookAround(transaction, tenants, jobs);
    return jobs.map((job) => earlier(around, job) ?? insertJob(transaction, around, job));
  });
  tenants.add(jobs.filter((_, index) => results[index]?.kind === "inserted").map((job) => job.tenantId));
  return results;
}

async function lookAround(
  transaction: Transaction,
  known: TenantCache,
  jobs: readonly NewJob[],
): Promise<Surroundings> {
  const refs = distinct(jobs, nameOf);
  const newcomers = distinct(jobs, (job) => job.tenantId).filter((job) => !known.has(job.tenantId));
  const keyed = distinct(
    jobs.filter((job) => job.idempotencyKey !== undefined),
    (job) => pairOf(job.tenantId, job.idempotencyKey),
  );
  const [present, tombstones, keys, tenants] = await Promise.all([
    getJobs(transaction, refs),
    transaction.read("Tombstones", ["TenantId", "JobId"], refs.map(keyOf)),
    transaction.read(
      "IdempotencyKeys",
      ["TenantId", "IdempotencyKey", "JobId", "RequestHash"],
      keyed.map((job) => [text(job.tenantId), text(job.idempotencyKey)]),
    ),
    transaction.read(
      "Tenants",
      ["TenantId"],
      newcomers.map((job) => [text(job.tenantId)]),
    ),
  ]);
  const used = keys.map((row) => ({ tenantId: row.TenantId as string, jobId: row.JobId as string }));
  const first = await getJobs(transaction, used);
  const absent = new Set(newcomers.map((job) => job.tenantId));
  for (const row of tenants) absent.delete(row.TenantId as string);
  return {
    tenants: new Set(jobs.map((job) => job.tenantId).filter((tenantId) => !absent.has(tenantId))),
    jobs: new Map([...present, ...first].map((job) => [nameOf(job), job])),
    tombstones: new Set(tombstones.map((row) => pairOf(row.TenantId, row.JobId))),
    keys: new Map(
      keys.map((row) => [
        pairOf(row.TenantId, row.IdempotencyKey),
        { jobId: row.JobId as string, requestHash: row.RequestHash as string },
      ]),
    ),
  };
}

/** What an earlier use of the id or the key makes of this insert; undefined when there was none. */
function earlier(around: Surroundings, job: NewJob): InsertResult | undefined {
  const same = around.jobs.get(nameOf(job));
  if (same !== undefined) return repeatOf(same);
  if (around.tombstones.has(nameOf(job))) return DELETED;
  if (job.idempotencyKey === undefined) return undefined;
  const used = around.keys.get(pairOf(job.tenantId, job.idempotencyKey));
  if (used === undefined) return undefined;
  if (used.requestHash !== job.requestHash) return { kind: "conflict", reason: "DIFFERENT_REQUEST" };
  const first = around.jobs.get(nameOf({ tenantId: job.tenantId, jobId: used.jobId }));
  return first === undefined ? DELETED : repeatOf(first);
}

function repeatOf(job: Job): InsertResult {
  return job.deleteRequestedAtMs === undefined ? { kind: "repeated", job } : DELETED;
}

function insertJob(transaction: Transaction, around: Surroundings, fresh: NewJob): InsertResult {
  const job: Job = { ...fresh, version: 1, updatedAtMs: fresh.createdAtMs };
  if (!around.tenants.has(job.tenantId)) {
    transaction.insert("Tenants", { TenantId: text(job.tenantId), CreatedAt: moment(job.createdAtMs) });
    around.tenants.add(job.tenantId);
  }
  transaction.insert("Jobs", jobBindings(job));
  around.jobs.set(nameOf(job), job);
  if (job.idempotencyKey !== undefined) {
    transaction.insert("IdempotencyKeys", {
      TenantId: text(job.tenantId),
      IdempotencyKey: text(job.idempotencyKey),
      JobId: text(job.jobId),
      RequestHash: text(job.requestHash),
    });
    around.keys.set(pairOf(job.tenantId, job.idempotencyKey), job);
  }
  appendEvent(transaction, job, {
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

function nameOf(ref: JobRef): string {
  return pairOf(ref.tenantId, ref.jobId);
}

function pairOf(tenantId: unknown, name: unknown): string {
  return JSON.stringify([tenantId, name]);
}

function distinct<T>(items: readonly T[], nameOfItem: (item: T) => string): T[] {
  return [...new Map(items.map((item) => [nameOfItem(item), item])).values()];
}
