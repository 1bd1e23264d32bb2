import { isTerminal, type Job } from "#pkg/job/index.ts";
import { type Charge, fieldsOf, type Progress } from "./charge.ts";
import type { Write } from "./outcome.ts";
import type { DispatcherOptions } from "./types.ts";

/** The row of a job in charge. Both leave the charge's row as it is now, and answer `gone` when it is another's. */
export interface Rows {
  /** One write under the fence. */
  write(charge: Charge, write: Write): Promise<Progress>;
  /** Reads the row again after a write that matched none, or whose answer was lost. */
  reread(charge: Charge): Promise<Progress>;
}

export function createRows({ store, clock, log, reign, onEnded }: DispatcherOptions): Rows {
  async function write(charge: Charge, { changes, event }: Write): Promise<Progress> {
    const { job } = charge;
    if (job.owner === undefined) return "gone";
    const atMs = clock.nowMs();
    const ends = changes.status !== undefined && isTerminal(changes.status);
    charge.unansweredAtVersion = job.version;
    const result = (
      await store.updateJobs([
        {
          tenantId: job.tenantId,
          jobId: job.jobId,
          version: job.version,
          owner: job.owner,
          from: job.status,
          changes:
            ends && changes.completedAtMs === undefined ? { ...changes, completedAtMs: atMs } : changes,
          event,
          atMs,
        },
      ])
    )[0];
    charge.unansweredAtVersion = undefined;
    if (result?.kind !== "applied") return reread(charge);
    charge.job = result.job;
    if (ends) ended(result.job);
    return "moved";
  }

  function ended(job: Job): void {
    log.info({ ...fieldsOf(job), status: job.status, reason: job.error?.reason }, "job ended");
    onEnded?.(job);
  }

  async function reread(charge: Charge): Promise<Progress> {
    const [row] = await store.getJobs([charge.job]);
    const mine = reign.owner;
    const isMine =
      row?.owner !== undefined && row.owner.workerId === mine?.workerId && row.owner.term === mine.term;
    if (row === undefined || !isMine) return "gone";
    charge.job = row;
    return "moved";
  }

  return { write, reread };
}
