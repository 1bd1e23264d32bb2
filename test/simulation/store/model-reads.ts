import type { Job, JobEvent, JobRef } from "#pkg/job/index.ts";
import type { JobLookup } from "#pkg/store/index.ts";
import { type ModelState, nameOf, readJob } from "./model-state.ts";

export function getJobs(state: ModelState, refs: readonly JobRef[]): readonly Job[] {
  return refs.map((ref) => readJob(state, ref)).filter((job) => job !== undefined);
}

export function hasTombstone(state: ModelState, ref: JobRef): boolean {
  return state.tombstones.has(nameOf(ref));
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
