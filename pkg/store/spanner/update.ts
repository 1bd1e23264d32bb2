import type { Job } from "#pkg/job/index.ts";
import type { JobUpdate, WriteResult } from "#pkg/store/jobs.ts";
import type { Database } from "./database.ts";
import { appendEvent } from "./events.ts";
import { getJobs } from "./get.ts";
import { refBindings, stateBindings, writeBindings } from "./rows.ts";
import type { Transaction } from "./transaction.ts";
import type { Bindings } from "./values.ts";

export async function updateJobs(
  db: Database,
  updates: readonly JobUpdate[],
): Promise<readonly WriteResult[]> {
  if (updates.length === 0) return [];
  return await db.transact(async (transaction) => {
    const jobs = new Map((await getJobs(transaction, updates)).map((job) => [nameOf(job), job]));
    return updates.map((update) => updateJob(transaction, jobs.get(nameOf(update)), update));
  });
}

function updateJob(transaction: Transaction, before: Job | undefined, update: JobUpdate): WriteResult {
  if (before === undefined || !isAsNamed(before, update)) return { kind: "stale" };
  const job: Job = { ...before, ...update.changes, version: before.version + 1, updatedAtMs: update.atMs };
  transaction.update("Jobs", { ...refBindings(job), ...changedBindings(before, job), ...writeBindings(job) });
  if (update.event !== undefined) {
    appendEvent(transaction, job, {
      seq: job.version,
      type: update.event.type,
      from: before.status,
      to: job.status,
      reason: update.event.reason,
      actor: update.owner.workerId,
      term: update.owner.term,
      atMs: update.atMs,
    });
  }
  return { kind: "applied", job };
}

/** Only what changed: each column costs, and an index over one that stays as it is need not be written. */
function changedBindings(before: Job, after: Job): Bindings {
  const old = stateBindings(before);
  const isChanged = ([column, typed]: [string, Bindings[string]]) =>
    JSON.stringify(typed.value) !== JSON.stringify(old[column]?.value);
  return Object.fromEntries(Object.entries(stateBindings(after)).filter(isChanged));
}

function isAsNamed(job: Job, update: JobUpdate): boolean {
  return (
    job.version === update.version &&
    job.status === update.from &&
    job.owner?.workerId === update.owner.workerId &&
    job.owner.term === update.owner.term
  );
}

function nameOf({ tenantId, jobId }: Pick<Job, "tenantId" | "jobId">): string {
  return JSON.stringify([tenantId, jobId]);
}
