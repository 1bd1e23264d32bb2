import { isActive, type Job } from "#pkg/job/index.ts";
import type { Deletion, WriteResult } from "#pkg/store/index.ts";
import { keyNameOf, type ModelState, nameOf, readJob } from "./model-state.ts";

export function deleteJob(state: ModelState, deletion: Deletion): WriteResult["kind"] {
  const row = readJob(state, deletion);
  if (row === undefined) return "stale";
  if (row.version !== deletion.version) return "stale";
  if (row.owner?.workerId !== deletion.owner.workerId) return "stale";
  if (row.owner?.term !== deletion.owner.term) return "stale";
  if (row.deleteRequestedAtMs === undefined) return "stale";
  if (isActive(row.status)) return "stale";
  const name = nameOf(deletion);
  state.tombstones.set(name, { jobId: row.jobId, keepUntilMs: deletion.tombstoneUntilMs });
  keepKey(state, row, deletion.keyUntilMs);
  state.jobs.delete(name);
  state.events.delete(name);
  return "applied";
}

/** From now on the key has an end. */
function keepKey(state: ModelState, job: Job, untilMs: number): void {
  if (job.idempotencyKey === undefined) return;
  const name = keyNameOf(job.tenantId, job.idempotencyKey);
  const used = state.keys.get(name);
  if (used?.jobId !== job.jobId) return;
  state.keys.set(name, { ...used, keepUntilMs: untilMs });
}

export function purge(state: ModelState, nowMs: number, limit: number): number {
  const tombstones = forget(state.tombstones, nowMs, limit);
  const keys = forget(state.keys, nowMs, limit - tombstones);
  return tombstones + keys;
}

/** Those whose time ended first go first. Tells how many went. */
function forget(
  map: Map<string, { readonly keepUntilMs: number | undefined }>,
  nowMs: number,
  limit: number,
): number {
  const over: { readonly name: string; readonly keepUntilMs: number }[] = [];
  for (const [name, { keepUntilMs }] of map) {
    if (keepUntilMs === undefined) continue;
    if (keepUntilMs > nowMs) continue;
    over.push({ name, keepUntilMs });
  }
  const gone = over.sort((a, b) => a.keepUntilMs - b.keepUntilMs).slice(0, limit);
  for (const { name } of gone) map.delete(name);
  return gone.length;
}
