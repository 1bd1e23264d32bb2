import { type Job, JobStatus } from "#pkg/job/index.ts";
import type { JobFilter, JobPage, ListQuery, PageCursor } from "#pkg/store/jobs.ts";
import { type Reader, sql } from "./reader.ts";
import { jobOf } from "./rows.ts";
import { integer, moment, text, texts } from "./values.ts";

/** Rows that a page may look at beyond those that it shows, where a filter passes few of them. */
const SPARE_ROWS = 500;

/** The runs of the wanted statuses, each in order by its index, merged. One statement sees one moment. */
export const LIST_RUNS = sql`
  SELECT Jobs.* FROM (
    SELECT Found.JobId
    FROM UNNEST(@Statuses) AS Wanted CROSS JOIN UNNEST(ARRAY(
      SELECT AS STRUCT ListedAt, JobId FROM Jobs@{FORCE_INDEX=JobsListed, spanner_emulator.disable_query_null_filtered_index_check=true}
      WHERE TenantId = @Tenant AND Status = Wanted AND ListedAt IS NOT NULL AND ListedAt >= @CreatedAfter
        AND (ListedAt < @CreatedAt OR (ListedAt = @CreatedAt AND JobId < @Job))
      ORDER BY ListedAt DESC, JobId DESC LIMIT @Limit)) AS Found
    ORDER BY Found.ListedAt DESC, Found.JobId DESC LIMIT @Limit) AS Page
  JOIN@{JOIN_METHOD=APPLY_JOIN} Jobs ON Jobs.TenantId = @Tenant AND Jobs.JobId = Page.JobId
  ORDER BY Jobs.CreatedAt DESC, Jobs.JobId DESC`;

/**
 * One page. What narrows by status or creation is found by the index; names, labels and kinds are looked at row by row, at
 * most `pageSize + SPARE_ROWS` of them. So a page costs the same however many jobs there are, and may be short.
 */
export async function listJobs(db: Reader, query: ListQuery): Promise<JobPage> {
  const { tenantId, filter, pageSize, after } = query;
  const isLookedAt = filter.namePrefix !== "" || filter.kind !== "" || Object.keys(filter.labels).length > 0;
  const looked = isLookedAt ? pageSize + SPARE_ROWS : pageSize;
  const from = firstPlace(filter, after);
  const rows = await db.query(LIST_RUNS, {
    Tenant: text(tenantId),
    Statuses: texts(filter.statuses.length > 0 ? [...new Set(filter.statuses)] : Object.values(JobStatus)),
    CreatedAt: moment(from.createdAtMs),
    Job: text(from.jobId),
    CreatedAfter: moment(filter.createdAfterMs ?? Number.MIN_SAFE_INTEGER),
    // One more tells whether anything follows.
    Limit: integer(looked + 1),
  });
  return pageOf(rows.map(jobOf), query, looked);
}

function pageOf(rows: readonly Job[], { filter, pageSize }: ListQuery, looked: number): JobPage {
  const jobs: Job[] = [];
  let last: PageCursor | undefined;
  for (const [index, job] of rows.entries()) {
    if (jobs.length === pageSize || index === looked) return { jobs, next: last };
    last = { createdAtMs: job.createdAtMs, jobId: job.jobId };
    if (passes(job, filter)) jobs.push(job);
  }
  return { jobs, next: undefined };
}

/** Behind the cursor and before `createdBeforeMs`, as one bound: "" is below every id. */
function firstPlace(filter: JobFilter, after: PageCursor | undefined): PageCursor {
  const before = filter.createdBeforeMs ?? Number.MAX_SAFE_INTEGER;
  return after !== undefined && after.createdAtMs < before ? after : { createdAtMs: before, jobId: "" };
}

function passes(job: Job, filter: JobFilter): boolean {
  if (filter.kind !== "" && job.kind !== filter.kind) return false;
  if (!job.spec.name.startsWith(filter.namePrefix)) return false;
  return Object.entries(filter.labels).every(
    ([key, value]) => Object.hasOwn(job.spec.labels, key) && job.spec.labels[key] === value,
  );
}
