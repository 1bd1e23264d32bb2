import type { Job, Keyring, Owner } from "#pkg/job/index.ts";
import type { Service } from "#pkg/lifecycle/index.ts";
import type { JobStore, WorkerRecord } from "#pkg/store/index.ts";

/** What the API needs of `dispatch`. */
export interface Dispatcher {
  /**
   * The row is inserted and owned by this worker: begins its attempt. Resolves with the row when the cloud has answered or
   * the job is over, at once when its target backs off, and with the row as it is when `signal` aborts, which ends the
   * waiting and not the work.
   */
  begin(job: Job, signal: AbortSignal): Promise<Job>;
  /** A request was left on a row: acts now if the job is this worker's. A hint. */
  requested(job: Job): void;
  /** How many active jobs this worker owns now. */
  readonly activeJobs: number;
}

/** What the API needs of `ownership`. */
export interface Ownership {
  /** The open term that this worker holds; undefined while it holds none. */
  readonly owner: Owner | undefined;
  /** All workers' rows as the last look showed them. */
  readonly workers: readonly WorkerRecord[];
  /** An insert for this owner was sent and its answer lost: it may own what it does not know of. */
  noteLostAnswer(): void;
}

/** What is known once the store is open, and what the engine is made of. */
export interface Foundation {
  /** Gathers concurrent writes; the engine must write through it too. */
  readonly store: JobStore;
  readonly deploymentId: string;
  readonly keyring: Keyring;
  /** To be told of each job that reached its end here, for the metrics. */
  readonly onEnded: (job: Job) => void;
}

/** What owns, starts and watches jobs: floor 4, put together. Its start begins the term; its drain ends it. */
export interface Engine {
  readonly service: Service;
  readonly ownership: Ownership;
  readonly dispatcher: Dispatcher;
  /** A drain is near: take over nothing new from now on. */
  retire(): void;
  /** Never resolves; rejects with a `StartupError` when this worker must leave: its id is in use elsewhere. */
  readonly ended: Promise<void>;
}
