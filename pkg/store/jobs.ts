import type { EventType, Job, JobEvent, JobRef, JobStatus, Owner } from "#pkg/job/index.ts";

/** A row to be inserted. Its version becomes 1. */
export type NewJob = Omit<Job, "version" | "updatedAtMs">;

/** What became of an insert. Exactly one of many concurrent inserts of one id, or of one (tenant, key), is `inserted`. */
export type InsertResult =
  | { readonly kind: "inserted"; readonly job: Job }
  /**
   * The id is there already, whatever its hash, or the key with the same request hash: this is the first job, as it stands
   * now. It is the caller's own job where the answer of its first insert was lost.
   */
  | { readonly kind: "repeated"; readonly job: Job }
  /**
   * The key was used for another request, or its job was deleted; or the id is that of a deleted job. Deleted is a job
   * from the moment on that its delete was requested.
   */
  | { readonly kind: "conflict"; readonly reason: "DIFFERENT_REQUEST" | "DELETED" };

/** The first use of an idempotency key. */
export interface UsedKey {
  readonly jobId: string;
  readonly requestHash: string;
}

/**
 * An entry of the history that goes with a change. The rest is the store's to fill in: `seq` is the version that the change
 * gave the row, `from` and `to` its status before and after, actor and term the owner that wrote, `at` the write's moment.
 */
export type NewEvent = Pick<JobEvent, "type" | "reason"> & { readonly type: EventType };

/**
 * What an owner may change. The columns of requests (cancel, delete) are not among them, nor the row's identity: so no
 * owner's write can wipe a request that came meanwhile. `undefined` clears; a missing key leaves as is.
 */
export type JobChanges = {
  readonly [K in
    | "status"
    | "attempt"
    | "createPhase"
    | "unstartedAttempts"
    | "providerJobId"
    | "providerState"
    | "error"
    | "waitReason"
    | "dueAtMs"
    | "startedAtMs"
    | "completedAtMs"
    | "owner"]?: Job[K];
};

/** One write of an owner, under the fence: it takes effect only on the row that has this version, owner and term. */
export interface JobUpdate extends JobRef {
  readonly version: number;
  readonly owner: Owner;
  /** The status that the row has at `version`. The store refuses a transition that the table forbids (`InvariantError`). */
  readonly from: JobStatus;
  readonly changes: JobChanges;
  readonly event: NewEvent | undefined;
  readonly atMs: number;
}

/** `stale`: the row was not as named, and nothing changed: read again and decide anew. */
export type WriteResult = { readonly kind: "applied"; readonly job: Job } | { readonly kind: "stale" };

export type RequestKind = "cancel" | "delete";

/** What became of a request. The job is as it stands after it. The status is judged before what was left earlier. */
export type RequestResult =
  /** Left now or before; `first` tells which. */
  | { readonly kind: "left"; readonly first: boolean; readonly job: Job }
  /** The status forbids it: cancel wants an active job, delete a terminal one. */
  | { readonly kind: "refused"; readonly job: Job }
  | { readonly kind: "missing" };

/** Terms of one worker that are over: `afterTerm` < term ≤ `throughTerm`. */
export interface DeadTerms {
  readonly workerId: string;
  /** What the worker's row says of `emptiedThrough`, or 0 to look at all. */
  readonly afterTerm: number;
  readonly throughTerm: number;
}

/**
 * One batch of takeovers. A job is taken when its level is no higher than the claimer's and its target is one of the
 * claimer's, and either
 * (a) it is active and its owner's term is among `dead`; or
 * (b) it carries a request that is not done (a cancel of an active job, a delete) and its owner's term is at or below the
 *     `throughTerm` of its worker in `dead`, whatever `afterTerm` says; or
 * (c) it has no owner, is active, and either carries a request, or is due (`dueAtMs` unset or not after `nowMs`) while
 *     `includeUnowned` is set.
 * (d) it has no owner, a cancel of it was requested, nothing of it has begun (INTENDED), and its target is none of
 *     `livingTargets`: nobody may ever come who serves it, and to end it takes no cloud; so here the target matters not.
 * Jobs without an owner are taken by priority (high first), then age (old first), after those of (a) and (b); in the
 * answer a batch is in any order. Rows that another writer holds may be skipped. A claim changes the owner, raises the
 * version and appends CLAIMED with the claimer as its actor, from and to the job's unchanged status.
 */
export interface ClaimRequest {
  readonly claimer: Owner;
  /** Those that the claimer serves, each once. */
  readonly targets: readonly string[];
  readonly level: number;
  /** Each worker once: one range names all of its terms that are over. */
  readonly dead: readonly DeadTerms[];
  /** Every target that some live worker serves, as last read. */
  readonly livingTargets: readonly string[];
  readonly nowMs: number;
  /** Take new work too. A worker at its capacity does not, but still takes what a dead one left and what carries a request. */
  readonly includeUnowned: boolean;
  /** At most this many jobs. 1 to 1000. */
  readonly limit: number;
}

/** Removal of a terminal job whose delete was requested, under the fence; any other is `stale`. Events go with it; a tombstone stays. */
export interface Deletion extends JobRef {
  readonly version: number;
  readonly owner: Owner;
  readonly atMs: number;
  /** Until when the tombstone and the idempotency key are remembered; epoch milliseconds. */
  readonly tombstoneUntilMs: number;
  readonly keyUntilMs: number;
}

/** Which jobs of a tenant; every condition that is set must hold. */
export interface JobFilter {
  /** Any of these. Empty: any status. */
  readonly statuses: readonly JobStatus[];
  /** "": any name. */
  readonly namePrefix: string;
  /** All of these. */
  readonly labels: Readonly<Record<string, string>>;
  /** "": any kind. */
  readonly kind: string;
  /** Inclusive. */
  readonly createdAfterMs: number | undefined;
  /** Exclusive. */
  readonly createdBeforeMs: number | undefined;
}

/** A place in a tenant's list: behind the job with this creation moment and id. */
export interface PageCursor {
  readonly createdAtMs: number;
  readonly jobId: string;
}

export interface ListQuery {
  readonly tenantId: string;
  readonly filter: JobFilter;
  /** 1 to 1000. */
  readonly pageSize: number;
  readonly after: PageCursor | undefined;
}

/** Newest first (creation, then id). Short when the store has looked at as many rows as a page may cost; `next` tells whether more may follow. */
export interface JobPage {
  readonly jobs: readonly Job[];
  readonly next: PageCursor | undefined;
}

/** What the inventory needs to know of a job that a batch job names. */
export type JobLookup =
  | { readonly kind: "present"; readonly job: Job }
  | { readonly kind: "tombstone" }
  | { readonly kind: "unknown" };
