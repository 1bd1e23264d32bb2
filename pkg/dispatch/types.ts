import type { BatchJobState, BatchProvider, CallBudget } from "#pkg/batch/index.ts";
import type { Backoff, Clock, Entropy } from "#pkg/clock/index.ts";
import type { Job, Owner } from "#pkg/job/index.ts";
import type { Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";

/** What dispatch must know of this worker's ownership. */
export interface Reign {
  /** The open term that this worker holds; undefined while it holds none. */
  readonly owner: Owner | undefined;
  /** Milliseconds from now on for which the lease is certain to be held. */
  trustedForMs(): number;
}

/** One target that this worker serves. */
export interface ServedTarget {
  readonly provider: BatchProvider;
  /** Shared with the tracking of the same target. */
  readonly budget: CallBudget;
}

export interface DispatcherOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Logger;
  readonly reign: Reign;
  readonly deploymentId: string;
  readonly targets: readonly ServedTarget[];
  /** `SETTLE_SECONDS`, in milliseconds: how long a doubt must stand before a look that finds nothing means it. */
  readonly settleMs: number;
  /** Opens the sealed env values. Throws when the key is not at hand. */
  readonly openEnv: (job: Job) => Readonly<Record<string, string>>;
  /** Who watches batch jobs that the cloud has; told of each that begins to run, and of each that is of no interest any more. */
  readonly watcher: Watcher;
  /** Called when a job reached its end here, for the metrics. */
  readonly onEnded?: (job: Job) => void;
}

/** What dispatch needs of `tracking`. */
export interface Watcher {
  watch(item: WatchItem): void;
  /** The next look at this job comes soon, not when it is due, and what it finds is told in any case. */
  lookSoon(jobId: string): void;
  unwatch(jobId: string): void;
}

export interface WatchItem {
  readonly jobId: string;
  readonly target: string;
  readonly batchJobId: string;
  /** When the cloud took it, wall clock; the young are looked at more often. */
  readonly sinceMs: number;
}

export interface Dispatcher extends Service {
  /**
   * The row was inserted by this process and is owned by it: begins its attempt. Resolves with the row when the cloud has
   * answered or the job is over, at once when its target backs off or this process drains, and with the row as it is when
   * `signal` aborts, which ends the waiting and not the work.
   */
  begin(job: Job, signal: AbortSignal): Promise<Job>;
  /** Takes charge of rows that this worker owns now; those it has charge of already are no news. */
  takeOver(jobs: readonly Job[]): void;
  /** The same for rows that a search found to be this worker's; they may be older than what it knows, and are read again. */
  found(jobs: readonly Job[]): void;
  /** A request was left on a row: acts now if the job is in its charge. A hint; the row is read again. */
  requested(job: Job): void;
  /** The cloud told of a batch job; `lost` when it does not know it any more. */
  observed(jobId: string, batchJobId: string, state: BatchJobState | "lost"): void;
  /** The term is over: forgets every job. Calls under way end as they may; their writes will match no row. */
  forgetAll(): void;
  /** Active jobs in its charge. */
  readonly activeJobs: number;
}

/** The wait after a step that did not get through: the store or the cloud did not answer. */
export const STEP_BACKOFF: Backoff = { initialMs: 200, maxMs: 30_000, factor: 2 };

/** The longest that one call to a cloud may take, within the trust. */
export const CALL_TIMEOUT_MS = 30_000;

/** How long a deleted job's id is remembered, and its idempotency key. */
export const TOMBSTONE_MS = 7 * 24 * 3_600_000;
export const KEY_MS = 24 * 3_600_000;
