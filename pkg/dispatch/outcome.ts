import { type BatchJobState, BatchPhase, type CreateOutcome } from "#pkg/batch/index.ts";
import { type Backoff, backoffMs, type Entropy } from "#pkg/clock/index.ts";
import { assertNever } from "#pkg/errors/index.ts";
import { CreatePhase, EventType, type Job, type JobError, JobStatus } from "#pkg/job/index.ts";
import type { JobChanges, NewEvent } from "#pkg/store/index.ts";
import { isInDoubt, type Knowledge } from "./decide.ts";

/** One write of the owner. */
export interface Write {
  readonly changes: JobChanges;
  readonly event: NewEvent | undefined;
}

/** How many attempts may end before their program started, for which the job is not to blame, until it fails after all. */
export const MAX_UNSTARTED_ATTEMPTS = 10;

/** The word of a batch job that the cloud lost; it begins no new attempt, since the lost one may still run. */
export const PROVIDER_LOST = "PROVIDER_LOST";

/** The most that an event tells of the cloud's words, in characters. */
const MAX_WORDS = 500;

/** The wait before the next attempt of a job whose attempt failed. */
export const RETRY_BACKOFF: Backoff = { initialMs: 2_000, maxMs: 300_000, factor: 2 };

/** The write that a create's outcome asks for; undefined where none. `known` is from before the create. */
export function afterCreate(
  job: Job,
  known: Knowledge,
  outcome: CreateOutcome,
  waitUntilMs: number,
): Write | undefined {
  switch (outcome.kind) {
    case "accepted":
      return accepted(outcome.state, outcome.adopted);
    case "rejected":
      return isInDoubt(known) ? undefined : failed({ reason: outcome.reason, message: outcome.message });
    case "refused":
      return waiting(job, isInDoubt(known), outcome.reason, waitUntilMs);
    case "unknown":
      return waiting(job, true, "UNCONFIRMED", undefined);
    default:
      return assertNever(outcome);
  }
}

/** The cloud has the batch job of this attempt. */
export function accepted(state: BatchJobState, adopted: boolean): Write {
  return {
    changes: {
      status: JobStatus.Running,
      createPhase: CreatePhase.Confirmed,
      providerJobId: state.providerJobId,
      providerState: state.providerState,
      startedAtMs: state.startedAtMs,
      waitReason: undefined,
      dueAtMs: undefined,
    },
    event: { type: EventType.Accepted, reason: adopted ? "ADOPTED" : "" },
  };
}

/**
 * Tells why the job waits; nothing when the row says so already. One that is refused again and again is written twice a
 * try, since BEGUN goes before each create; of its events each is written once (`rows.ts`).
 */
function waiting(job: Job, doubt: boolean, reason: string, untilMs: number | undefined): Write | undefined {
  const createPhase = doubt ? CreatePhase.Begun : CreatePhase.Intended;
  if (job.waitReason === reason && job.createPhase === createPhase) return undefined;
  return {
    changes: { createPhase, waitReason: reason, ...(untilMs !== undefined && { dueAtMs: untilMs }) },
    event: { type: EventType.Waiting, reason },
  };
}

export function failed(error: JobError): Write {
  return {
    changes: { status: JobStatus.Failed, error, waitReason: undefined, dueAtMs: undefined },
    event: { type: EventType.Failed, reason: error.reason },
  };
}

export function cancelled(): Write {
  return {
    changes: { status: JobStatus.Cancelled, waitReason: undefined, dueAtMs: undefined },
    event: { type: EventType.Cancelled, reason: "" },
  };
}

/** What an observed state asks to be written; undefined where the row says it already. */
export function afterObservation(
  job: Job,
  state: BatchJobState,
  nowMs: number,
  entropy: Entropy,
): Write | undefined {
  const write = endOf(job, state, nowMs, entropy);
  if (write === undefined) return whileItLasts(job, state);
  const { startedAtMs, endedAtMs, providerState } = state;
  const completedAtMs = write.changes.status === JobStatus.Pending ? undefined : (endedAtMs ?? nowMs);
  return {
    event: write.event,
    changes: {
      providerState,
      ...(startedAtMs !== undefined && { startedAtMs }),
      ...(completedAtMs !== undefined && { completedAtMs }),
      ...write.changes,
    },
  };
}

/** The start, and before it what the batch job waits for in the cloud: quota, for as long as two days. */
function whileItLasts(job: Job, state: BatchJobState): Write | undefined {
  if (job.startedAtMs !== undefined) return undefined;
  const { startedAtMs, providerState } = state;
  if (startedAtMs !== undefined) {
    return {
      changes: { startedAtMs, providerState, waitReason: undefined },
      event: { type: EventType.Started, reason: "" },
    };
  }
  const waitReason = state.phase === BatchPhase.Queued ? state.reason : undefined;
  if (waitReason === job.waitReason) return undefined;
  return {
    changes: { providerState, waitReason },
    event:
      waitReason === undefined ? undefined : { type: EventType.Waiting, reason: inWords(waitReason, state) },
  };
}

/** The reason with the cloud's own words, which tell what it is that there is too little of. */
function inWords(reason: string, { message }: BatchJobState): string {
  return message === undefined ? reason : `${reason}: ${message.slice(0, MAX_WORDS)}`;
}

function endOf(job: Job, state: BatchJobState, nowMs: number, entropy: Entropy): Write | undefined {
  const cancelRequested = job.cancelRequestedAtMs !== undefined;
  switch (state.phase) {
    case BatchPhase.Queued:
    case BatchPhase.Running:
    case BatchPhase.Stopping:
      return undefined;
    case BatchPhase.Succeeded:
      return {
        changes: { status: JobStatus.Completed, waitReason: undefined },
        event: { type: EventType.Completed, reason: "" },
      };
    case BatchPhase.Cancelled:
      if (cancelRequested) return cancelled();
      return failed({
        reason: "CANCELLED_IN_CLOUD",
        message: state.message ?? "the batch job was cancelled, but not through Jennah",
      });
    case BatchPhase.Failed:
      if (cancelRequested) return cancelled();
      return afterFailure(job, state, nowMs, entropy);
    default:
      return assertNever(state.phase);
  }
}

function afterFailure(job: Job, state: BatchJobState, nowMs: number, entropy: Entropy): Write {
  const error: JobError = {
    reason: state.reason ?? "FAILED",
    message: state.message ?? "the batch job failed, and the provider does not say why",
    ...(state.exitCode !== undefined && { exitCode: state.exitCode }),
  };
  if (error.reason === PROVIDER_LOST) return failed(error);
  const retriesUsed = job.attempt - 1 - job.unstartedAttempts;
  const free = state.endedUnstarted && job.unstartedAttempts < MAX_UNSTARTED_ATTEMPTS;
  if (!free && retriesUsed >= job.spec.maxRetries) return failed(error);
  return {
    changes: {
      status: JobStatus.Pending,
      attempt: job.attempt + 1,
      unstartedAttempts: job.unstartedAttempts + (free ? 1 : 0),
      createPhase: CreatePhase.Intended,
      providerJobId: undefined,
      providerState: undefined,
      startedAtMs: undefined,
      waitReason: "RETRY_BACKOFF",
      dueAtMs: nowMs + backoffMs(RETRY_BACKOFF, job.attempt, entropy),
    },
    event: { type: EventType.Retrying, reason: error.reason },
  };
}
