import { UnavailableError } from "#pkg/errors/index.ts";
import { checkUpdates } from "./check-updates.ts";
import { createGatherer } from "./gatherer.ts";
import type { JobStore } from "./job-store.ts";
import type { InsertResult, JobUpdate, NewJob, WriteResult } from "./jobs.ts";

/**
 * A store whose concurrent inserts, and whose concurrent updates, share commits: while one is under way the next ones
 * gather, and go together when it is over. An idle store writes at once; there is no timer.
 *
 * Every group is sorted by (tenant, key or id), so that two processes never wait for each other in a circle. When a group
 * is refused each member is tried alone, so that nobody answers for another. An insert whose commit may have been lost is
 * asked for by inserting the same ids again, and may then be `repeated` with the caller's own job; an update whose
 * commit may have been lost is rejected: its sender reads again and decides anew.
 */
export function createGatheredStore(store: JobStore): JobStore {
  const { maxGroup } = store.capabilities;
  const inserts = createGatherer<NewJob, InsertResult>({
    maxGroup,
    commit: (jobs) => store.insertJobs(jobs),
    orderOf: (job) => [job.tenantId, job.idempotencyKey ?? job.jobId],
    // Two inserts of one id or key in a group are the store's to tell apart.
    mayShareGroup: true,
    isWorthAsking: () => true,
  });
  const updates = createGatherer<JobUpdate, WriteResult>({
    maxGroup,
    commit: (group) => store.updateJobs(group),
    orderOf: (update) => [update.tenantId, update.jobId],
    mayShareGroup: false,
    isWorthAsking: (error) => !(error instanceof UnavailableError),
  });

  return {
    ...store,
    insertJobs: (jobs) => inserts.submit(jobs),
    async updateJobs(group) {
      checkUpdates(group);
      return await updates.submit(group);
    },
  };
}
