import { EventType, type Job } from "#pkg/job/index.ts";
import type { ClaimRequest, DeadTerms } from "#pkg/store/jobs.ts";
import { type Bindings, type Database, type Sql, sql } from "./database.ts";
import { appendEvent } from "./events.ts";
import { jobOf } from "./rows.ts";

/** (a): active jobs of terms that are over. The index holds active jobs of owners alone. */
export const LEFT_BEHIND = sql`
  SELECT jobs.* FROM json_each(:dead) AS dead
  CROSS JOIN jobs ON jobs.owner_id = dead.value ->> 'workerId'
    AND jobs.owner_term > dead.value ->> 'afterTerm' AND jobs.owner_term <= dead.value ->> 'throughTerm'
  WHERE jobs.status IN ('PENDING', 'RUNNING') AND jobs.owner_id IS NOT NULL
    AND jobs.target IN (SELECT value FROM json_each(:targets)) AND jobs.level <= :level
  LIMIT :limit`;

/** (b): requests that terms left undone; their terms may be "emptied", because finished jobs can carry them too. */
export const REQUESTS_LEFT_BEHIND = sql`
  SELECT jobs.* FROM json_each(:dead) AS dead
  CROSS JOIN jobs ON jobs.owner_id = dead.value ->> 'workerId' AND jobs.owner_term <= dead.value ->> 'throughTerm'
  WHERE ((jobs.cancel_requested_at IS NOT NULL AND jobs.status IN ('PENDING', 'RUNNING'))
      OR jobs.delete_requested_at IS NOT NULL)
    AND jobs.target IN (SELECT value FROM json_each(:targets)) AND jobs.level <= :level
  LIMIT :limit`;

/** (c) with a request, and (d). */
export const UNOWNED_REQUESTS = sql`
  SELECT * FROM jobs
  WHERE owner_id IS NULL AND status IN ('PENDING', 'RUNNING')
    AND ((cancel_requested_at IS NOT NULL AND status IN ('PENDING', 'RUNNING')) OR delete_requested_at IS NOT NULL)
    AND (target IN (SELECT value FROM json_each(:targets))
      OR (create_phase = 'INTENDED' AND target NOT IN (SELECT value FROM json_each(:living))))
    AND level <= :level
  ORDER BY priority DESC, created_at, job_id LIMIT :limit`;

/** (c), new work of one target, in the order of the index. */
export const UNOWNED = sql`
  SELECT * FROM jobs
  WHERE target = :target AND owner_id IS NULL AND status IN ('PENDING', 'RUNNING')
    AND level <= :level AND (due_at IS NULL OR due_at <= :now)
  ORDER BY priority DESC, created_at, job_id LIMIT :limit`;

const TAKE = sql`
  UPDATE jobs SET owner_id = :owner, owner_term = :term, version = version + 1, updated_at = :at
  WHERE tenant_id = :tenant AND job_id = :job`;

export const ANY_LEFT = sql`
  SELECT 1 FROM jobs
  WHERE owner_id = :worker AND owner_term > :after AND owner_term <= :through
    AND status IN ('PENDING', 'RUNNING') AND owner_id IS NOT NULL
  LIMIT 1`;

/**
 * Takes one batch. What dead terms left comes before what nobody had: somebody may be waiting for it. Rows that were
 * taken no longer match the next search, so nothing is taken twice.
 */
export function claimJobs(db: Database, request: ClaimRequest): readonly Job[] {
  const taken: Job[] = [];
  const search = (text: Sql, bindings: Bindings) => {
    if (taken.length >= request.limit) return;
    const rows = db.all(text, { ...bindings, level: request.level, limit: request.limit - taken.length });
    for (const row of rows) taken.push(take(db, request, jobOf(row)));
  };
  const targets = JSON.stringify(request.targets);
  const dead = JSON.stringify(request.dead);

  search(LEFT_BEHIND, { dead, targets });
  search(REQUESTS_LEFT_BEHIND, { dead, targets });
  search(UNOWNED_REQUESTS, { targets, living: JSON.stringify(request.livingTargets) });
  if (!request.includeUnowned) return taken;
  // Each target's run is in order; the first of the merged runs are the first of all.
  const limit = request.limit - taken.length;
  const due = request.targets
    .flatMap((target) =>
      db.all(UNOWNED, { target, level: request.level, now: request.nowMs, limit }).map(jobOf),
    )
    .sort(byUrgency)
    .slice(0, limit);
  for (const job of due) taken.push(take(db, request, job));
  return taken;
}

export function hasJobsOf(db: Database, dead: DeadTerms): boolean {
  const found = db.get(ANY_LEFT, {
    worker: dead.workerId,
    after: dead.afterTerm,
    through: dead.throughTerm,
  });
  return found !== undefined;
}

function byUrgency(a: Job, b: Job): number {
  const byPriority = b.spec.priority - a.spec.priority;
  return byPriority || a.createdAtMs - b.createdAtMs || (a.jobId < b.jobId ? -1 : 1);
}

function take(db: Database, request: ClaimRequest, before: Job): Job {
  const { claimer, nowMs } = request;
  const job: Job = { ...before, owner: claimer, version: before.version + 1, updatedAtMs: nowMs };
  db.run(TAKE, {
    tenant: job.tenantId,
    job: job.jobId,
    owner: claimer.workerId,
    term: claimer.term,
    at: nowMs,
  });
  appendEvent(db, job, {
    seq: job.version,
    type: EventType.Claimed,
    from: job.status,
    to: job.status,
    reason: before.owner === undefined ? "" : `from ${before.owner.workerId} term ${before.owner.term}`,
    actor: claimer.workerId,
    term: claimer.term,
    atMs: nowMs,
  });
  return job;
}
