import type { Job } from "#pkg/job/index.ts";
import type { JobUpdate, WriteResult } from "#pkg/store/jobs.ts";
import { type Database, sql } from "./database.ts";
import { appendEvent } from "./events.ts";
import { getJob } from "./get.ts";
import { stateBindings } from "./rows.ts";

const UPDATE = sql`
  UPDATE jobs SET
    status = :status, attempt = :attempt, create_phase = :createPhase, unstarted_attempts = :unstartedAttempts,
    provider_job_id = :providerJobId, provider_state = :providerState, error = :error, wait_reason = :waitReason,
    owner_id = :ownerId, owner_term = :ownerTerm, version = :version, due_at = :dueAt, updated_at = :updatedAt,
    started_at = :startedAt, completed_at = :completedAt
  WHERE tenant_id = :tenant AND job_id = :job`;

/** Runs inside a transaction that holds the write lock, so what is read here cannot change before it is written. */
export function updateJobs(db: Database, updates: readonly JobUpdate[]): readonly WriteResult[] {
  return updates.map((update) => updateJob(db, update));
}

function updateJob(db: Database, update: JobUpdate): WriteResult {
  const before = getJob(db, update);
  if (before === undefined || !isAsNamed(before, update)) return { kind: "stale" };
  const job: Job = {
    ...before,
    ...update.changes,
    version: before.version + 1,
    updatedAtMs: update.atMs,
  };
  db.run(UPDATE, stateBindings(job));
  if (update.event !== undefined) {
    appendEvent(db, job, {
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

function isAsNamed(job: Job, update: JobUpdate): boolean {
  return (
    job.version === update.version &&
    job.status === update.from &&
    job.owner?.workerId === update.owner.workerId &&
    job.owner.term === update.owner.term
  );
}
