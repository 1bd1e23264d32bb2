import { EventType, isTerminal, type Job } from "#pkg/job/index.ts";
import { type Charge, fieldsOf, type Progress } from "./charge.ts";
import type { Write } from "./outcome.ts";
import type { DispatcherOptions } from "./types.ts";

/** The row of a job in charge. `write` and `reread` leave the charge's row as it is now, and answer `gone` when it is another's. */
export interface Rows {
  /** One write under the fence; where it matches no row, that is read again. */
  write(charge: Charge, write: Write): Promise<Progress>;
  /** One write under the fence. Tells whether it took effect; where it did not, the charge's row is not the present one. */
  tryWrite(charge: Charge, write: Write): Promise<boolean>;
  /** Reads the row again after a write that matched none, or whose answer was lost. */
  reread(charge: Charge): Promise<Progress>;
}

/**
 * Told once an attempt, by the same owner and for the same reason: a job may be refused without end, and all its events are
 * kept and answered. The writes that would carry them are made all the same.
 */
const TOLD_ONCE: ReadonlySet<EventType> = new Set([EventType.Dispatching, EventType.Waiting]);

export function createRows({ store, clock, log, reign, onEnded }: DispatcherOptions): Rows {
  async function write(charge: Charge, change: Write): Promise<Progress> {
    return (await tryWrite(charge, change)) ? "moved" : reread(charge);
  }

  async function tryWrite(charge: Charge, { changes, event }: Write): Promise<boolean> {
    const { job } = charge;
    if (job.owner === undefined) return false;
    const atMs = clock.nowMs();
    const ends = changes.status !== undefined && isTerminal(changes.status);
    const news =
      event && TOLD_ONCE.has(event.type)
        ? `${job.attempt} ${event.type} ${changes.waitReason ?? ""}`
        : undefined;
    const isTold = news !== undefined && charge.told.has(news);
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
          event: isTold ? undefined : event,
          atMs,
        },
      ])
    )[0];
    charge.unansweredAtVersion = undefined;
    if (result?.kind !== "applied") return false;
    charge.job = result.job;
    if (news !== undefined) charge.told.add(news);
    if (ends) ended(result.job);
    return true;
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

  return { write, tryWrite, reread };
}
