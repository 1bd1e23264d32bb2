import type { BatchJobState } from "#pkg/batch/index.ts";
import type { Timer } from "#pkg/clock/index.ts";
import type { Job } from "#pkg/job/index.ts";
import type { Knowledge } from "./decide.ts";

/** What the cloud told of one batch job; `lost` when it does not know it any more. */
export interface News {
  readonly batchJobId: string;
  readonly state: BatchJobState | "lost";
}

/** A job that this process has charge of, and what is going on with it. One step at a time: `run` is the only one. */
export interface Charge {
  /** The row as last read or written. */
  job: Job;
  known: Knowledge;
  /** The steps under way; undefined while the job rests. */
  run: Promise<void> | undefined;
  /** Something changed while a step was under way: decide once more before resting. */
  again: boolean;
  /** Ends the rest or the waiting for a place in the gate, never a call under way. */
  wake: AbortController;
  rest: Timer | undefined;
  /** What the cloud told last and is not written yet; of the batch job with this id. */
  news: News | undefined;
  /** The row may be another than `job`: read it before deciding. */
  isOutdated: boolean;
  /**
   * A write on this version of the row was sent and not answered: as long as the row stands at it, that write may still take
   * effect, however long ago its sender gave up.
   */
  unansweredAtVersion: number | undefined;
  /** How many steps in a row did not get through; the measure of the next backoff. */
  failures: number;
  /** How many creates in a row were refused for a reason of this job alone; the measure of its next rest. */
  refusals: number;
  /** Events that are told once an attempt, and were. */
  readonly told: Set<string>;
  /** Those who wait for the first answer of the cloud. */
  readonly waiters: Set<(job: Job) => void>;
}

/**
 * What became of a step. `moved`: decide again. `later`: it did not get through; decide again after a backoff.
 * `gone`: the row is not this owner's any more, or is there no more.
 */
export type Progress = "moved" | "later" | "gone";

export function createCharge(job: Job, known: Knowledge): Charge {
  return {
    job,
    known,
    run: undefined,
    again: false,
    wake: new AbortController(),
    rest: undefined,
    news: undefined,
    isOutdated: false,
    unansweredAtVersion: undefined,
    failures: 0,
    refusals: 0,
    told: new Set(),
    waiters: new Set(),
  };
}

/** Lets everyone who waits for the job go, with the row as it is. */
export function answerWaiters(charge: Charge): void {
  for (const answer of charge.waiters) answer(charge.job);
  charge.waiters.clear();
}

/** What every log line about a job carries. */
export function fieldsOf(job: Job): object {
  return {
    tenant_id: job.tenantId,
    job_id: job.jobId,
    attempt: job.attempt,
    worker_id: job.owner?.workerId,
    term: job.owner?.term,
  };
}
