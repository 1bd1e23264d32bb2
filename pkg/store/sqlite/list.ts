import { type Job, JobStatus } from "#pkg/job/index.ts";
import type { JobFilter, JobPage, ListQuery, PageCursor } from "#pkg/store/jobs.ts";
import { type Database, type Row, sql } from "./database.ts";
import { jobOf } from "./rows.ts";

/** Rows that a page may look at beyond those that it shows, where a filter passes few of them. */
const SPARE_ROWS = 500;

export const LIST_RUN = sql`
  SELECT * FROM jobs
  WHERE tenant_id = :tenant AND status = :status AND delete_requested_at IS NULL
    AND (created_at, job_id) < (:createdAt, :job) AND created_at >= :createdAfter
  ORDER BY created_at DESC, job_id DESC`;

/**
 * One page: the runs of the wanted statuses, each in order by its index, merged and filtered as they are read. What
 * narrows by status or creation is found by the index; names, labels and kinds are looked at row by row, at most
 * `pageSize + SPARE_ROWS` of them. So a page costs the same however many jobs there are, and may be short.
 */
export function listJobs(db: Database, query: ListQuery): JobPage {
  // One snapshot for all runs, or a job that changes its status meanwhile would be in two of them, or in none.
  db.exec("BEGIN");
  const rows = mergedRows(db, query);
  try {
    return pageOf(rows, query);
  } finally {
    rows.return(undefined);
    db.exec("COMMIT");
  }
}

function pageOf(rows: Iterator<Row>, { filter, pageSize }: ListQuery): JobPage {
  const jobs: Job[] = [];
  let last: PageCursor | undefined;
  for (let looked = 0; ; looked++) {
    const { value: row, done } = rows.next();
    if (done) return { jobs, next: undefined };
    if (jobs.length === pageSize || looked === pageSize + SPARE_ROWS) return { jobs, next: last };
    last = cursorOf(row);
    const job = passes(row, filter);
    if (job !== undefined) jobs.push(job);
  }
}

/** Rows of all wanted statuses, newest first. */
function* mergedRows(db: Database, { tenantId, filter, after }: ListQuery): Generator<Row, undefined> {
  const statuses = filter.statuses.length > 0 ? new Set(filter.statuses) : Object.values(JobStatus);
  const from = firstPlace(filter, after);
  const bindings = {
    tenant: tenantId,
    createdAt: from.createdAtMs,
    job: from.jobId,
    createdAfter: filter.createdAfterMs ?? Number.MIN_SAFE_INTEGER,
  };
  const runs = [...statuses].map((status, lane) => db.iterate(LIST_RUN, { ...bindings, status }, lane));
  try {
    const heads = runs.map((run) => run.next());
    for (;;) {
      let newest = -1;
      for (const [index, head] of heads.entries()) {
        if (head.done) continue;
        const best = heads[newest];
        if (best === undefined || best.done || isNewer(head.value, best.value)) newest = index;
      }
      const head = heads[newest];
      const run = runs[newest];
      if (head === undefined || head.done || run === undefined) return undefined;
      yield head.value;
      heads[newest] = run.next();
    }
  } finally {
    for (const run of runs) run.return?.();
  }
}

/** Behind the cursor and before `createdBeforeMs`, as one bound, so that the index finds it: "" is below every id. */
function firstPlace(filter: JobFilter, after: PageCursor | undefined): PageCursor {
  const before = filter.createdBeforeMs ?? Number.MAX_SAFE_INTEGER;
  return after !== undefined && after.createdAtMs < before ? after : { createdAtMs: before, jobId: "" };
}

function cursorOf(row: Row): PageCursor {
  return { createdAtMs: row.created_at as number, jobId: row.job_id as string };
}

function isNewer(a: Row, b: Row): boolean {
  const [one, other] = [cursorOf(a), cursorOf(b)];
  if (one.createdAtMs !== other.createdAtMs) return one.createdAtMs > other.createdAtMs;
  return one.jobId > other.jobId;
}

function passes(row: Row, filter: JobFilter): Job | undefined {
  if (filter.kind !== "" && row.kind !== filter.kind) return undefined;
  const job = jobOf(row);
  if (!job.spec.name.startsWith(filter.namePrefix)) return undefined;
  const labels = Object.entries(filter.labels);
  return labels.every(([key, value]) => Object.hasOwn(job.spec.labels, key) && job.spec.labels[key] === value)
    ? job
    : undefined;
}
