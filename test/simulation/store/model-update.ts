import type { Job } from "#pkg/job/index.ts";
import { checkUpdates, type JobUpdate, type WriteResult } from "#pkg/store/index.ts";
import { appendEvent, type ModelState, readJob, writeJob } from "./model-state.ts";

const stale: WriteResult = { kind: "stale" };

export function updateJobs(state: ModelState, updates: readonly JobUpdate[]): readonly WriteResult[] {
  checkUpdates(updates);
  return updates.map((update) => updateJob(state, update));
}

function updateJob(state: ModelState, update: JobUpdate): WriteResult {
  const row = readJob(state, update);
  if (row === undefined) return stale;
  if (row.version !== update.version) return stale;
  if (row.status !== update.from) return stale;
  if (row.owner?.workerId !== update.owner.workerId) return stale;
  if (row.owner?.term !== update.owner.term) return stale;
  const job: Job = { ...row, ...update.changes, version: row.version + 1, updatedAtMs: update.atMs };
  writeJob(state, job);
  if (update.event === undefined) return { kind: "applied", job };
  appendEvent(state, job, {
    seq: job.version,
    type: update.event.type,
    from: row.status,
    to: job.status,
    reason: update.event.reason,
    actor: update.owner.workerId,
    term: update.owner.term,
    atMs: update.atMs,
  });
  return { kind: "applied", job };
}
