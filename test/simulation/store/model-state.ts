import type { Job, JobEvent, JobRef } from "#pkg/job/index.ts";
import type { WorkerRecord } from "#pkg/store/index.ts";

/** What an idempotency key was used for. */
export interface UsedKey {
  readonly jobId: string;
  readonly requestHash: string;
  /** Undefined while the job's row is there. */
  readonly keepUntilMs: number | undefined;
}

export interface Tombstone {
  readonly jobId: string;
  readonly keepUntilMs: number;
}

/**
 * All that the model's database holds. A row is never changed, only replaced, so an answer stays what it was. The maps
 * keep the order in which rows were inserted, as tables keep it by their rowid.
 */
export interface ModelState {
  readonly deploymentId: string;
  /** Whether another writer holds the row now, so that a claim skips it. */
  readonly isLocked: (ref: JobRef) => boolean;
  /** By `nameOf`, like the next two. */
  readonly jobs: Map<string, Job>;
  readonly events: Map<string, JobEvent[]>;
  readonly tombstones: Map<string, Tombstone>;
  /** By `keyNameOf`. */
  readonly keys: Map<string, UsedKey>;
  /** By worker id. */
  readonly workers: Map<string, WorkerRecord>;
  keyFingerprint: string | undefined;
}

/** No tenant's id holds a slash, so no two refs share a name. */
export function nameOf(ref: JobRef): string {
  return `${ref.tenantId}/${ref.jobId}`;
}

export function keyNameOf(tenantId: string, key: string): string {
  return `${tenantId}/${key}`;
}

export function readJob(state: ModelState, ref: JobRef): Job | undefined {
  return state.jobs.get(nameOf(ref));
}

export function writeJob(state: ModelState, job: Job): void {
  state.jobs.set(nameOf(job), job);
}

export function appendEvent(state: ModelState, ref: JobRef, event: JobEvent): void {
  const name = nameOf(ref);
  const events = state.events.get(name);
  if (events === undefined) state.events.set(name, [event]);
  else events.push(event);
}

/** By (tenant, id). */
export function byRef(a: JobRef, b: JobRef): number {
  return compare(a.tenantId, b.tenantId) || compare(a.jobId, b.jobId);
}

export function compare(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
