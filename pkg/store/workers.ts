/** What a worker says of itself when it begins a term; peers and the gateway read it. */
export interface WorkerDescription {
  /** Where other processes reach it; undefined when it does not say (`WORKER_ADVERTISE_URL`). */
  readonly url: string | undefined;
  /** The release that runs, for people. */
  readonly version: string;
  /** The highest level of job that it knows. */
  readonly level: number;
  readonly targets: readonly string[];
  readonly kinds: readonly string[];
  /** How many active jobs it takes on (`WORKER_MAX_ACTIVE_JOBS`). */
  readonly capacity: number;
}

/**
 * A worker's row. Rows are never deleted and term numbers never used again, so that (worker id, term) names one reign for
 * good. Terms below `term` are over; `term` itself is over when `over` is set.
 */
export interface WorkerRecord extends WorkerDescription {
  readonly workerId: string;
  /** The current or last term; the first is 1. */
  readonly term: number;
  readonly over: boolean;
  /** Raised by each renewal of this term; begins at 1. Means nothing across terms. */
  readonly beat: number;
  /** A hint: no active job is left of any term up to this one. 0 at first. */
  readonly emptiedThrough: number;
  /** Which start of the process holds the term. */
  readonly instance: string;
  /** Active jobs that it owns, as of its last renewal. */
  readonly load: number;
  /** It is about to leave and takes nothing new. */
  readonly draining: boolean;
}

export interface BeginTerm extends WorkerDescription {
  readonly workerId: string;
  readonly instance: string;
  /**
   * What the caller last read in the row: the write takes effect only on exactly that, so that a begin which arrives late
   * never ends the term of whoever came meanwhile. Undefined: there is no row.
   */
  readonly expected: { readonly term: number; readonly instance: string; readonly over: boolean } | undefined;
}

/**
 * What became of a conditional write on a worker's row, and the row as it is now; undefined where there is none. A repeated
 * begin of the instance that holds the open term is not applied and answers that term: its beat has been watched for
 * longer than the caller knows, so trust in it begins with a renewal.
 */
export interface TermResult {
  readonly applied: boolean;
  readonly row: WorkerRecord | undefined;
}
