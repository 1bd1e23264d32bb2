import { isActive, type Job } from "#pkg/job/index.ts";
import type { WorkerRecord } from "#pkg/store/index.ts";
import { WORLD_BEGAN_MS } from "#test/simulation/kernel/machine.ts";
import { LARGEST_DRIFT, LARGEST_OFFSET_MS } from "#test/simulation/world/setting.ts";
import type { SimWorker } from "#test/simulation/world/worker.ts";
import type { Ledger } from "./ledger.ts";
import { Promised, type Report, type Tested } from "./promise.ts";
import { nameOf } from "./row-watch.ts";

export interface TakeoverWatchOptions {
  readonly ledger: Ledger;
  readonly report: Report;
  readonly tested: Tested;
  readonly nowMs: () => number;
  readonly ttlMs: number;
  readonly claimIntervalMs: number;
  /** Every worker's process that was ever started. */
  readonly workers: readonly SimWorker[];
}

/** What was under way when the last fault ended may still take so long. */
const SLACK_MS = 10_000;
/** How often a claimer ignores the hint that a dead term is empty (`pkg/ownership/claimer.ts`). */
const FULL_SEARCH_INTERVAL_MS = 60_000;

/**
 * Judges once, a TTL and two claim intervals after the last fault, whether the jobs of the dead have owners again. Only those
 * count as able to own them who were there all the while: neither frozen, nor without a term, nor in a new one.
 */
export function createTakeoverWatch(options: TakeoverWatchOptions) {
  const { ledger, report, tested, nowMs, ttlMs, claimIntervalMs, workers } = options;
  const slowest = 1 / (1 - LARGEST_DRIFT);
  let thereAtFirst: readonly WorkerRecord[] = [];

  /** The rows of those who are awake and hold an open term. */
  function there(): readonly WorkerRecord[] {
    return workers.flatMap(({ process, workerId, instance }) => {
      const row = ledger.workers.get(workerId);
      const isThere = process.isAlive && !process.isFrozen && row?.instance === instance && !row.over;
      return isThere ? [row] : [];
    });
  }

  function calm(): number {
    thereAtFirst = there();
    // Expired by a watcher whose clock is slow, after its last beat was seen late.
    return ttlMs * slowest ** 2 + 2 * claimIntervalMs * slowest + SLACK_MS;
  }

  function judge(): void {
    const now = there();
    const lasting = now.filter(({ workerId, term }) =>
      thereAtFirst.some((row) => row.workerId === workerId && row.term === term),
    );
    for (const job of ledger.jobs.values()) {
      if (ledger.removed.has(job.jobId) || !isActive(job.status)) continue;
      const able = lasting.filter(({ targets }) => targets.includes(job.target));
      if (able.length === 0) continue;
      tested(Promised.Takeover);
      const why = job.owner === undefined ? unowned(job, able) : ownedByTheDead(job, now);
      if (why !== undefined) report(Promised.Takeover, `${nameOf(job)}, ${why}`);
    }
  }

  function unowned(job: Job, able: readonly WorkerRecord[]): string | undefined {
    const dueMs = (job.dueAtMs ?? 0) - WORLD_BEGAN_MS + LARGEST_OFFSET_MS;
    if (isFresh(Math.max(dueMs, ledger.ownedSinceMs.get(job.jobId) ?? 0), 0)) return undefined;
    // One that may have been full until a moment ago is given time to see that it is not.
    const wasNeverFull = able.some(({ capacity }) => capacity > ledger.jobs.size);
    return wasNeverFull ? "which is nobody's" : undefined;
  }

  function ownedByTheDead({ jobId, owner }: Job, living: readonly WorkerRecord[]): string | undefined {
    if (owner === undefined) return undefined;
    if (living.some(({ workerId, term }) => workerId === owner.workerId && term === owner.term))
      return undefined;
    const overMs = ledger.overSinceMs(owner);
    const ownedMs = ledger.ownedSinceMs.get(jobId) ?? 0;
    // Inserted or claimed when the term was over, and perhaps told to be empty: only a full search finds it.
    if (overMs !== undefined && ownedMs >= overMs && isFresh(ownedMs, FULL_SEARCH_INTERVAL_MS))
      return undefined;
    return `which is ${owner.workerId} term ${owner.term}'s, who is ${overMs === undefined ? "silent" : "gone"}`;
  }

  function isFresh(sinceMs: number, restMs: number): boolean {
    return nowMs() - sinceMs < (restMs + 2 * claimIntervalMs) * slowest + SLACK_MS;
  }

  return { calm, judge };
}
