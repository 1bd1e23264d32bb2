import { isTerminal, type Job, JobStatus } from "#pkg/job/index.ts";
import { type BatchJob, isLive, phaseOf } from "#test/simulation/cloud/batch-job.ts";
import type { Cloud } from "#test/simulation/cloud/cloud.ts";
import { LARGEST_OFFSET_MS } from "#test/simulation/world/setting.ts";
import type { Ledger } from "./ledger.ts";
import { Promised, type Report, type Tested } from "./promise.ts";
import { nameOf } from "./row-watch.ts";

export interface CloudWatchOptions {
  readonly ledger: Ledger;
  readonly report: Report;
  readonly tested: Tested;
  readonly nowMs: () => number;
  readonly clouds: () => Iterable<Cloud>;
}

/** So many misses in a row, and so old: then a batch job may be given up for lost (`pkg/tracking/schedule.ts`). */
const MISSES = 5;
const LOST_AGE_MS = 120_000 - 4 * LARGEST_OFFSET_MS;

/** Judges what is made in the clouds, and what runs there when a job ends. */
export function createCloudWatch({ ledger, report, tested, nowMs, clouds }: CloudWatchOptions) {
  const made = new Map<string, BatchJob[]>();

  function onMade(job: BatchJob): void {
    const others = made.get(job.jobId) ?? [];
    made.set(job.jobId, [...others, job]);
    const row = ledger.jobs.get(job.jobId);
    const name = row === undefined ? job.name : nameOf(row);
    tested(Promised.SubmitOnce);
    tested(Promised.NothingAfterTheEnd);
    if (others.length > 0) tested(Promised.OneAtATime);
    if (others.some(({ attempt }) => attempt === job.attempt))
      report(Promised.SubmitOnce, `attempt ${job.attempt} of ${name} was made again, ${job.providerJobId}`);
    const running = others.find((other) => isLive(other, nowMs()));
    if (running !== undefined)
      report(Promised.OneAtATime, `attempt ${job.attempt} of ${name} began while ${running.attempt} lived`);
    if (row === undefined || ledger.removed.has(job.jobId) || isTerminal(row.status))
      report(
        Promised.NothingAfterTheEnd,
        `attempt ${job.attempt} of ${name}, which is ${row?.status ?? "nowhere"}`,
      );
    if (row !== undefined && row.tenantId !== job.tenantId)
      report(Promised.Isolation, `${name} was made for tenant ${job.tenantId}`);
  }

  /** A row has become terminal. */
  function onEnded(job: Job): void {
    const all = made.get(job.jobId) ?? [];
    for (const batchJob of all) {
      tested(Promised.EndWithoutDoubt);
      if (isLive(batchJob, nowMs())) tested(Promised.NothingLeft);
      if (isLive(batchJob, nowMs()) && !mayBeLost(batchJob))
        report(
          Promised.EndWithoutDoubt,
          `${nameOf(job)} is ${job.status} ${job.error?.reason ?? ""} while attempt ${batchJob.attempt} is ${phaseOf(batchJob, nowMs())}`,
        );
    }
    const current = all.find(({ attempt }) => attempt === job.attempt);
    const phase = current === undefined ? undefined : phaseOf(current, nowMs());
    if (job.status === JobStatus.Completed || current !== undefined) tested(Promised.TrueEnd);
    if (job.status === JobStatus.Completed && phase !== "SUCCEEDED")
      report(Promised.TrueEnd, `${nameOf(job)} is COMPLETED, its batch job ${phase ?? "was never made"}`);
    if (
      job.status === JobStatus.Failed &&
      phase === "SUCCEEDED" &&
      current !== undefined &&
      !mayBeLost(current)
    )
      report(Promised.TrueEnd, `${nameOf(job)} is FAILED ${job.error?.reason}, its batch job succeeded`);
  }

  function mayBeLost({ missesTold, madeAtMs, vanishesAtMs }: BatchJob): boolean {
    const isOld = nowMs() - madeAtMs >= LOST_AGE_MS;
    return (missesTold >= MISSES || vanishesAtMs <= nowMs()) && isOld;
  }

  /** What runs in a cloud although no active job names it; undefined when nothing does. */
  function stray(): string | undefined {
    for (const cloud of clouds()) {
      for (const batchJob of cloud.jobs) {
        if (!isLive(batchJob, nowMs())) continue;
        const row = ledger.removed.has(batchJob.jobId) ? undefined : ledger.jobs.get(batchJob.jobId);
        const isNamed = row !== undefined && !isTerminal(row.status) && row.attempt === batchJob.attempt;
        if (!isNamed) return `${batchJob.name} on ${cloud.target}`;
      }
    }
    return undefined;
  }

  return { onMade, onEnded, stray };
}
