import type { HandlerContext } from "@connectrpc/connect";
import type { BatchProvider } from "#pkg/batch/index.ts";
import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { InvalidArgumentError, NotFoundError } from "#pkg/errors/index.ts";
import { isJobId, type Job, type JobRef, type Keyring, textFault } from "#pkg/job/index.ts";
import { callOf } from "#pkg/rpc/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import type { Dispatcher, Ownership } from "./ports.ts";

/** What the handlers of all RPCs work with. */
export interface Api {
  readonly store: JobStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly dispatcher: Dispatcher;
  readonly ownership: Ownership;
  /** By target; the first is the target of jobs that name none. */
  readonly providers: ReadonlyMap<string, BatchProvider>;
  /** `WORKER_ID`. */
  readonly workerId: string;
  /** `ALLOWED_SERVICE_ACCOUNTS`. */
  readonly allowedServiceAccounts: readonly string[];
  /** `SUBMIT_WAIT_SECONDS`, in milliseconds. */
  readonly submitWaitMs: number;
  /** `WORKER_MAX_ACTIVE_JOBS`. */
  readonly maxActiveJobs: number;
  /** Aborts when the worker begins to leave: whoever waits is answered. */
  readonly draining: AbortSignal;
}

/**
 * The job that a request names, for the call's tenant.
 * @throws InvalidArgumentError without an id, NotFoundError when the text can be no job's.
 */
export function refOf(jobId: string, context: HandlerContext): JobRef {
  const fault = jobId === "" ? "is required" : textFault(jobId);
  if (fault !== undefined) throw new InvalidArgumentError([{ field: "job_id", description: fault }]);
  if (!isJobId(jobId)) throw jobNotFound();
  return { tenantId: callOf(context).tenantId, jobId };
}

/** Undefined when there is no such row, or it is hidden because its delete was requested. */
export async function findJob(store: JobStore, ref: JobRef): Promise<Job | undefined> {
  const [job] = await store.getJobs([ref]);
  return job?.deleteRequestedAtMs === undefined ? job : undefined;
}

/** @throws NotFoundError when `findJob` finds none. */
export async function readJob(store: JobStore, ref: JobRef): Promise<Job> {
  const job = await findJob(store, ref);
  if (job === undefined) throw jobNotFound();
  return job;
}

/** The same words for an id that never existed, a deleted one's, and another tenant's. */
export function jobNotFound(): NotFoundError {
  return new NotFoundError("JOB_NOT_FOUND", "there is no such job");
}
