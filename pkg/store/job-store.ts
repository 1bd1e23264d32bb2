import type { Job, JobEvent, JobRef, Owner } from "#pkg/job/index.ts";
import type {
  ClaimRequest,
  DeadTerms,
  Deletion,
  InsertResult,
  JobLookup,
  JobPage,
  JobUpdate,
  ListQuery,
  NewJob,
  RequestKind,
  RequestResult,
  UsedKey,
  WriteResult,
} from "./jobs.ts";
import type { BeginTerm, TermResult, WorkerRecord } from "./workers.ts";

/** What a store can do, asked for instead of its name. */
export interface StoreCapabilities {
  /** How many inserts or updates go into one call at most. */
  readonly maxGroup: number;
}

/**
 * The `reason` of an `UnavailableError` where the database does answer, and turns the worker away: no permission, no
 * credentials, no such database. Only an operator can mend that.
 */
export const STORE_REFUSED = "STORE_REFUSED";

/** What the deployment remembers of itself. */
export interface StoreMeta {
  /** A UUID made by the first migration. */
  readonly deploymentId: string;
  readonly schemaVersion: number;
  /** Code starts when this is not above its own level. */
  readonly oldestLevel: number;
  /** Fingerprint of the key that seals now; undefined until a worker has set it. */
  readonly keyFingerprint: string | undefined;
}

/**
 * The database. Every method rejects with `UnavailableError` when the database does not answer; a write that was
 * rejected so may have taken effect. Every read is current (sees all that was committed before it began) except where it
 * says otherwise. Every write is one atomic change of each row that it names, its event with it; several rows of one
 * call need not change together.
 *
 * The store opens with `start` (which migrates where the engine is embedded, and otherwise refuses a schema that it does
 * not know, with a `StartupError` that names the command to run) and closes with `stop`; it is a lifecycle `Service`.
 */
export interface JobStore {
  readonly capabilities: StoreCapabilities;

  start(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves when the database answers a read now. */
  ping(): Promise<void>;

  meta(): Promise<StoreMeta>;
  /** Sets the fingerprint where the present one is `expected`; tells whether it did. */
  setKeyFingerprint(expected: string | undefined, next: string): Promise<boolean>;
  /**
   * The 32 bytes that seal secrets where the operator set no key, made once for the deployment. `besideData` tells that
   * the key lies together with what it protects, which deserves a warning.
   */
  dataKey(): Promise<{ readonly key: Uint8Array; readonly besideData: boolean }>;

  /**
   * Inserts each of the jobs, with its SUBMITTED event (by its owner, or by "" where it has none), and its tenant's row if
   * that is not there. One result each, in order.
   */
  insertJobs(jobs: readonly NewJob[]): Promise<readonly InsertResult[]>;
  /** Writes of owners. One result each, in order. Names each job once at most. @throws InvariantError as `checkUpdates`. */
  updateJobs(updates: readonly JobUpdate[]): Promise<readonly WriteResult[]>;
  /** Leaves a request on a row, whoever owns it: sets its one column, raises the version, appends an event. */
  leaveRequest(
    ref: JobRef,
    request: RequestKind,
    by: { readonly actor: string; readonly atMs: number },
  ): Promise<RequestResult>;
  /** Removes the row of a job whose delete was requested, leaving a tombstone. */
  deleteJob(deletion: Deletion): Promise<WriteResult["kind"]>;

  /** The rows that are there, in any order; also those whose delete was requested. */
  getJobs(refs: readonly JobRef[]): Promise<readonly Job[]>;
  /** Whether this id was the tenant's and is deleted: its tombstone is remembered. */
  hasTombstone(ref: JobRef): Promise<boolean>;
  /** What a tenant's idempotency key was first used for, also when that job is deleted; undefined when it is free. */
  findKey(tenantId: string, key: string): Promise<UsedKey | undefined>;
  /** Oldest first. */
  listEvents(ref: JobRef): Promise<readonly JobEvent[]>;
  /** Without jobs whose delete was requested. Costs O(pageSize) whatever the filter and however many jobs there are. */
  listJobs(query: ListQuery): Promise<JobPage>;
  /** Looks jobs up by id alone, for the inventory. One result for each id, in order. */
  lookUpJobs(jobIds: readonly string[]): Promise<readonly JobLookup[]>;

  /**
   * Jobs of this owner that carry a request which is not done (a cancel of an active job, a delete), by (tenant, id), at
   * most `limit` behind `after`. Read by an index that holds such rows alone.
   */
  findRequests(owner: Owner, after: JobRef | undefined, limit: number): Promise<readonly Job[]>;
  /**
   * Jobs of this owner that are active, by (tenant, id), at most `limit` behind `after`. For an owner that lost the answer
   * of an insert or a claim, and may own what it does not know of.
   */
  findOwned(owner: Owner, after: JobRef | undefined, limit: number): Promise<readonly Job[]>;
  /** Takes over one bounded batch of jobs; fewer than `limit` mean that none is left but those that another writer holds. */
  claimJobs(request: ClaimRequest): Promise<readonly Job[]>;
  /** Whether any active job is left of these terms, for whatever target and level. Never skips a row, never lags. */
  hasJobsOf(dead: DeadTerms): Promise<boolean>;
  /** Raises `emptiedThrough` where it is lower and `throughTerm` is over. A hint, so a lost write matters not. */
  markEmptied(workerId: string, throughTerm: number): Promise<void>;

  /** All workers' rows. */
  readWorkers(): Promise<readonly WorkerRecord[]>;
  /** Ends the term that is there, if any, and begins the next, in one conditional write on the worker's row. */
  beginTerm(begin: BeginTerm): Promise<TermResult>;
  /** Raises the beat of exactly this term while it is not over. */
  renewTerm(
    owner: Owner,
    instance: string,
    now: { readonly load: number; readonly draining: boolean },
  ): Promise<TermResult>;
  /** Ends a term whose beat is still `beat`. Tells whether it is over now by this write. */
  expireTerm(owner: Owner, beat: number): Promise<boolean>;
  /** Ends exactly this term; a repeat changes nothing. */
  endTerm(owner: Owner, instance: string): Promise<void>;

  /** Forgets at most `limit` tombstones and idempotency keys whose time is over. Tells how many went. */
  purge(nowMs: number, limit: number): Promise<number>;
}
