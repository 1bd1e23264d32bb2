import type { Job, JobEvent, JobRef } from "#pkg/job/index.ts";
import type { JobLookup, UsedKey } from "#pkg/store/index.ts";
import { keyNameOf, type ModelState, nameOf, readJob } from "./model-state.ts";

export function getJobs(state: ModelState, refs: readonly JobRef[]): readonly Job[] {
  return refs.map((ref) => readJob(state, ref)).filter((job) => job !== undefined);
}

export function hasTombstone(state: ModelState, ref: JobRef): boolean {
  return state.tombstones.has(nameOf(ref));
}

export function findKey(state: ModelState, tenantId: string, key: string): UsedKey | undefined {
  const used = state.keys.get(keyNameOf(tenantId, key));
  return used && { jobId: used.jobId, requestHash: used.requestHash };
}

export function listEvents(state: ModelState, ref: JobRef): readonly JobEvent[] {
  return [...(state.events.get(nameOf(ref)) ?? [])];
}

export function lookUpJobs(state: ModelState, jobIds: readonly string[]): readonly JobLookup[] {
  return jobIds.map((jobId) => {
    const job = state.jobs.values().find((each) => each.jobId === jobId);
    if (job !== undefined) return { kind: "present", job };
    const isBuried = state.tombstones.values().some((each) => each.jobId === jobId);
    return { kind: isBuried ? "tombstone" : "unknown" };
  });
}
