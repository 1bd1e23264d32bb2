import type { Job, JobEvent, JobRef, Owner } from "#pkg/job/index.ts";
import type { WorkerRecord } from "#pkg/store/index.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";

/** The rows as they were before the last operation, so that each change can be judged. */
export interface Ledger {
  /** Every job that was ever inserted, by id; as it stands, or stood when it was removed. */
  readonly jobs: ReadonlyMap<string, Job>;
  /** Of those, whose rows were removed. */
  readonly removed: ReadonlySet<string>;
  /** By job id: its history as it stood after the last operation on it; of one that was removed, before that. */
  readonly histories: ReadonlyMap<string, readonly JobEvent[]>;
  readonly workers: ReadonlyMap<string, WorkerRecord>;
  /** By job id: since when its row has the owner that it has, or none. */
  readonly ownedSinceMs: ReadonlyMap<string, number>;
  /** Since when this term is over; undefined while it is open. */
  overSinceMs(owner: Owner): number | undefined;
  /** Takes in how a row stands now; answers how it stood. */
  take(core: StoreCore, ref: JobRef): Taken;
  takeWorkers(core: StoreCore): ReadonlyMap<string, WorkerRecord>;
}

/** What an operation made of a row. */
export interface Taken {
  readonly before: Job | undefined;
  readonly after: Job | undefined;
  /** Its events that were not there before. */
  readonly added: readonly JobEvent[];
}

export function createLedger(nowMs: () => number): Ledger {
  const jobs = new Map<string, Job>();
  const removed = new Set<string>();
  const histories = new Map<string, readonly JobEvent[]>();
  const ownedSinceMs = new Map<string, number>();
  /** By `worker:term`, for each but the last of a worker that is open. */
  const overSinceMs = new Map<string, number>();
  let workers = new Map<string, WorkerRecord>();

  return {
    jobs,
    removed,
    histories,
    ownedSinceMs,
    overSinceMs: ({ workerId, term }) => overSinceMs.get(`${workerId}:${term}`),
    get workers() {
      return workers;
    },
    take(core, ref) {
      const row = removed.has(ref.jobId) ? undefined : jobs.get(ref.jobId);
      const before = row?.tenantId === ref.tenantId ? row : undefined;
      const [after] = core.getJobs([ref]);
      if (after !== undefined) jobs.set(after.jobId, after);
      else if (before !== undefined) removed.add(ref.jobId);
      if (after === undefined) return { before, after, added: [] };
      if (!isSame(before?.owner, after.owner) || before === undefined) ownedSinceMs.set(ref.jobId, nowMs());
      const events = core.listEvents(ref);
      const known = histories.get(ref.jobId)?.length ?? 0;
      histories.set(ref.jobId, events);
      return { before, after, added: events.slice(known) };
    },
    takeWorkers(core) {
      const before = workers;
      workers = new Map(core.readWorkers().map((row) => [row.workerId, row]));
      for (const row of before.values()) {
        const now = workers.get(row.workerId);
        const key = `${row.workerId}:${row.term}`;
        if ((now?.over || now?.term !== row.term) && !overSinceMs.has(key)) overSinceMs.set(key, nowMs());
      }
      return before;
    },
  };
}

function isSame(a: Owner | undefined, b: Owner | undefined): boolean {
  return a?.workerId === b?.workerId && a?.term === b?.term;
}
