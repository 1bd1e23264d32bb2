import type { Job } from "#pkg/job/index.ts";
import type { JobFilter, JobPage, ListQuery, PageCursor } from "#pkg/store/index.ts";
import { compare, type ModelState } from "./model-state.ts";

/** Jobs that a page may look at beyond those that it shows, like the real one; so here too a page may be short. */
const SPARE_ROWS = 500;

export function listJobs(state: ModelState, { tenantId, filter, pageSize, after }: ListQuery): JobPage {
  const found = [...state.jobs.values()].filter((job) => {
    if (job.tenantId !== tenantId) return false;
    if (job.deleteRequestedAtMs !== undefined) return false;
    if (after !== undefined && newestFirst(job, after) <= 0) return false;
    return isInBounds(job, filter);
  });
  const jobs: Job[] = [];
  let last: PageCursor | undefined;
  for (const [looked, job] of found.sort(newestFirst).entries()) {
    if (jobs.length === pageSize || looked === pageSize + SPARE_ROWS) return { jobs, next: last };
    last = { createdAtMs: job.createdAtMs, jobId: job.jobId };
    if (passes(job, filter)) jobs.push(job);
  }
  return { jobs, next: undefined };
}

/** What an index finds: the rest is looked at row by row. */
function isInBounds(job: Job, { statuses, createdAfterMs, createdBeforeMs }: JobFilter): boolean {
  if (statuses.length > 0 && !statuses.includes(job.status)) return false;
  if (createdAfterMs !== undefined && job.createdAtMs < createdAfterMs) return false;
  return createdBeforeMs === undefined || job.createdAtMs < createdBeforeMs;
}

function passes({ kind, spec }: Job, filter: JobFilter): boolean {
  if (filter.kind !== "" && kind !== filter.kind) return false;
  if (!spec.name.startsWith(filter.namePrefix)) return false;
  const wanted = Object.entries(filter.labels);
  return wanted.every(([key, value]) => Object.hasOwn(spec.labels, key) && spec.labels[key] === value);
}

function newestFirst(a: PageCursor, b: PageCursor): number {
  return b.createdAtMs - a.createdAtMs || compare(b.jobId, a.jobId);
}
