import type { Job, JobEvent, JobRef } from "#pkg/job/index.ts";
import type { WorkerRecord } from "#pkg/store/index.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";

/** The rows as they were before the last operation, so that each change can be judged. */
export interface Ledger {
  /** Every job that was ever inserted, by id; as it stands, or stood when it was removed. */
  readonly jobs: ReadonlyMap<string, Job>;
  /** Of those, whose rows were removed. */
  readonly removed: ReadonlySet<string>;
  /** The history of each job whose deletion was asked for: it goes with the row. */
  readonly lastEvents: ReadonlyMap<string, readonly JobEvent[]>;
  readonly workers: ReadonlyMap<string, WorkerRecord>;
  /** Takes in how a row stands now; answers how it stood. */
  take(core: StoreCore, ref: JobRef): { readonly before: Job | undefined; readonly after: Job | undefined };
  takeWorkers(core: StoreCore): ReadonlyMap<string, WorkerRecord>;
}

export function createLedger(): Ledger {
  const jobs = new Map<string, Job>();
  const removed = new Set<string>();
  const lastEvents = new Map<string, readonly JobEvent[]>();
  let workers = new Map<string, WorkerRecord>();

  return {
    jobs,
    removed,
    lastEvents,
    get workers() {
      return workers;
    },
    take(core, ref) {
      const known = removed.has(ref.jobId) ? undefined : jobs.get(ref.jobId);
      const before = known?.tenantId === ref.tenantId ? known : undefined;
      const [after] = core.getJobs([ref]);
      if (after !== undefined) jobs.set(after.jobId, after);
      else if (before !== undefined) removed.add(ref.jobId);
      if (after?.deleteRequestedAtMs !== undefined) lastEvents.set(after.jobId, core.listEvents(ref));
      return { before, after };
    },
    takeWorkers(core) {
      const before = workers;
      workers = new Map(core.readWorkers().map((row) => [row.workerId, row]));
      return before;
    },
  };
}
