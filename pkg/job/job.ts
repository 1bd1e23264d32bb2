import type { JobSpec } from "./spec.ts";
import type { JobStatus } from "./status.ts";

/**
 * The number of the spec's vocabulary that this code knows. A job carries the number that it needs; a worker never claims
 * a job above its own, so that workers of two versions can share a store.
 */
export const JOB_LEVEL = 1;

/** Who may write a job's row: a worker in one of its terms. */
export interface Owner {
  readonly workerId: string;
  readonly term: number;
}

/** What names a job in a store. */
export interface JobRef {
  readonly tenantId: string;
  readonly jobId: string;
}

/**
 * How far the create of the current attempt's batch job has come, as far as the row knows.
 *
 * INTENDED: the attempt is committed and no create of it has begun, so there is no doubt to settle.
 * BEGUN: a create may have begun, so the cloud may have the batch job: the doubt of the design's section 6.
 * CONFIRMED: the cloud has said that it has it.
 *
 * INTENDED → BEGUN before the first create leaves; BEGUN → CONFIRMED on an answer; BEGUN → INTENDED only by the owner
 * that knows that every create of this attempt was refused; a new attempt begins at INTENDED (or BEGUN, when the same
 * write precedes its create).
 */
export const CreatePhase = { Intended: "INTENDED", Begun: "BEGUN", Confirmed: "CONFIRMED" } as const;
export type CreatePhase = (typeof CreatePhase)[keyof typeof CreatePhase];

/** Why a job failed. `reason` is for programs (UPPER_SNAKE_CASE, open), `message` for people. */
export interface JobError {
  readonly reason: string;
  readonly message: string;
  readonly exitCode?: number;
}

/** A job's row. Moments are epoch milliseconds by the writer's wall clock; undefined is "not yet" or "not at all". */
export interface Job extends JobRef {
  /** `container`; an open string. */
  readonly kind: string;
  /** Where its batch jobs run; never changes. */
  readonly target: string;
  /** See `JOB_LEVEL`. */
  readonly level: number;
  readonly spec: JobSpec;
  /** The env values, sealed (see `sealing.ts`); undefined when the job has none. */
  readonly sealedEnv: Uint8Array | undefined;
  /** The id of the key that sealed them. */
  readonly sealingKeyId: string | undefined;
  /** HMAC over the fields that the caller set; tells a repeat from a different request under the same key. */
  readonly requestHash: string;
  readonly idempotencyKey: string | undefined;

  readonly status: JobStatus;
  /** Counted from 1. */
  readonly attempt: number;
  readonly createPhase: CreatePhase;
  /** How many attempts ended before their container started; they do not consume `maxRetries`. */
  readonly unstartedAttempts: number;
  readonly providerJobId: string | undefined;
  /** The cloud's own word. */
  readonly providerState: string | undefined;
  readonly error: JobError | undefined;
  readonly waitReason: string | undefined;

  /** Who may write this row now; kept on a terminal row, where it says who ended it. */
  readonly owner: Owner | undefined;
  /** Raised by every write, also by a request. The first is 1. */
  readonly version: number;
  /** Not to be started, or tried again, before this moment. */
  readonly dueAtMs: number | undefined;
  readonly cancelRequestedAtMs: number | undefined;
  readonly deleteRequestedAtMs: number | undefined;
  /** The job that this one is a retry of. */
  readonly retryOf: string | undefined;

  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly startedAtMs: number | undefined;
  readonly completedAtMs: number | undefined;
}

/** The kinds of entry in a job's history. An open set on the wire. */
export const EventType = {
  Submitted: "SUBMITTED",
  Claimed: "CLAIMED",
  /** A create is about to leave for the cloud. */
  Dispatching: "DISPATCHING",
  /** The cloud has the batch job. */
  Accepted: "ACCEPTED",
  /**
   * The cloud said no for now, or has the batch job and does not start it; `reason` is the job's `wait_reason`, of the latter
   * with the cloud's words.
   */
  Waiting: "WAITING",
  /** The attempt's program runs. */
  Started: "STARTED",
  /** The attempt ended and another follows. */
  Retrying: "RETRYING",
  Completed: "COMPLETED",
  Failed: "FAILED",
  Cancelled: "CANCELLED",
  CancelRequested: "CANCEL_REQUESTED",
  DeleteRequested: "DELETE_REQUESTED",
} as const;
export type EventType = (typeof EventType)[keyof typeof EventType];

/** One entry of a job's history, committed with the change that it tells of. */
export interface JobEvent {
  /** The version that the change gave the row: unique in the job, growing, with gaps where a change was not worth telling. */
  readonly seq: number;
  readonly type: EventType;
  readonly from: JobStatus | undefined;
  readonly to: JobStatus;
  /** UPPER_SNAKE_CASE or a short phrase; may be "". */
  readonly reason: string;
  /** Worker id. */
  readonly actor: string;
  /** Of the actor; 0 where the act needed none. */
  readonly term: number;
  readonly atMs: number;
}
