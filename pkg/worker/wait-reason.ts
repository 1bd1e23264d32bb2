import { type Job, JobStatus } from "#pkg/job/index.ts";
import type { Api } from "./api.ts";

/** `wait_reason` of a job that nobody owns because no live worker serves its target. */
export const NO_WORKER = "NO_WORKER";
/** … because its `not_before` has not come. */
const NOT_BEFORE = "NOT_BEFORE";
/** … because no worker has claimed it yet: one does within a claim interval, unless those who serve its target are full. */
const UNCLAIMED = "UNCLAIMED";

/** Whether a live worker serves the target, as of the last look at the workers' rows. */
export function isServed(
  { providers, ownership }: Pick<Api, "providers" | "ownership">,
  target: string,
): boolean {
  if (providers.has(target)) return true;
  return ownership.workers.some((worker) => !worker.over && worker.targets.includes(target));
}

/**
 * The job with why it waits now. Workers come and go while a job without an owner waits, and nobody writes its row
 * meanwhile; so whether one serves it is told from the workers' rows when somebody asks, not from the job's.
 */
export function withWaitReason(api: Pick<Api, "providers" | "ownership" | "clock">, job: Job): Job {
  if (job.status !== JobStatus.Pending || job.owner !== undefined) return job;
  return { ...job, waitReason: reasonOf(api, job) };
}

function reasonOf(api: Pick<Api, "providers" | "ownership" | "clock">, { target, dueAtMs = 0 }: Job): string {
  if (!isServed(api, target)) return NO_WORKER;
  return dueAtMs > api.clock.nowMs() ? NOT_BEFORE : UNCLAIMED;
}
