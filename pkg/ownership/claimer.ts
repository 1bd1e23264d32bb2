import type { Clock } from "#pkg/clock/index.ts";
import type { Job, JobRef, Owner } from "#pkg/job/index.ts";
import type { ClaimRequest, DeadTerms, JobStore, WorkerRecord } from "#pkg/store/index.ts";
import { deadTermsOf } from "./peer-watch.ts";

/** Jobs in one claim: large enough that 20,000 take 40 writes, small enough that none holds the store long. */
const CLAIM_BATCH = 500;

/** How often the hint that a dead term is empty is ignored; an insert of that term may have been on its way. */
const FULL_SEARCH_INTERVAL_MS = 60_000;

/** When an owner that lost an answer looks again for what it may own: a late commit shows by then. */
const SECOND_SWEEP_MS = 60_000;

export interface ClaimerOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly targets: readonly string[];
  readonly level: number;
  /** Between two searches that ignore the hint "emptied"; milliseconds. Default one minute. */
  readonly fullSearchIntervalMs?: number;
  /** How many active jobs this worker takes on. */
  readonly capacity: number;
  /** How many it has. */
  readonly load: () => number;
  /** The term for which to claim, asked again after each answer; undefined stops the claiming. */
  readonly owner: () => Owner | undefined;
  /** Takes charge of jobs that are owned now; those it knows already are no news to it. */
  readonly onClaimed: (jobs: readonly Job[]) => void;
  /** Takes charge of jobs that a search found to be owned, as their rows stood then. */
  readonly onFound: (jobs: readonly Job[]) => void;
}

export interface Claimer {
  /** Takes over everything that may be taken, batch by batch, until none is left. */
  claimAll(rows: readonly WorkerRecord[]): Promise<void>;
  /** An insert or claim was sent and its answer lost: this worker may own jobs that it does not know of. */
  noteLostAnswer(): void;
}

export function createClaimer(options: ClaimerOptions): Claimer {
  const { store, clock } = options;
  const fullSearchIntervalMs = options.fullSearchIntervalMs ?? FULL_SEARCH_INTERVAL_MS;
  let lastFullSearchMs = Number.NEGATIVE_INFINITY;
  let lastFullSearchTerm = 0;
  let sweepsDueMs: number[] = [];

  function noteLostAnswer(): void {
    sweepsDueMs = [clock.monotonicMs(), clock.monotonicMs() + SECOND_SWEEP_MS];
  }

  /** One batch; undefined when this worker's term is not the one for which it claimed any more. */
  async function claim(
    owner: Owner,
    what: Pick<ClaimRequest, "dead" | "livingTargets" | "includeUnowned" | "limit">,
  ): Promise<number | undefined> {
    let jobs: readonly Job[];
    try {
      jobs = await store.claimJobs({
        claimer: owner,
        targets: options.targets,
        level: options.level,
        nowMs: clock.nowMs(),
        ...what,
      });
    } catch (error) {
      noteLostAnswer();
      throw error;
    }
    // The term may have ended while the claim was under way; then others find these jobs by its number.
    if (options.owner()?.term !== owner.term) return undefined;
    options.onClaimed(jobs);
    return jobs.length;
  }

  async function claimDead(
    owner: Owner,
    dead: readonly DeadTerms[],
    livingTargets: readonly string[],
  ): Promise<void> {
    let claimed: number | undefined;
    do claimed = await claim(owner, { dead, livingTargets, includeUnowned: false, limit: CLAIM_BATCH });
    while (claimed === CLAIM_BATCH);
  }

  async function claimUnowned(owner: Owner, livingTargets: readonly string[]): Promise<void> {
    for (;;) {
      const limit = Math.min(CLAIM_BATCH, options.capacity - options.load());
      if (limit <= 0) return;
      const claimed = await claim(owner, { dead: [], livingTargets, includeUnowned: true, limit });
      if (claimed === undefined || claimed < limit) return;
    }
  }

  async function markEmptied(rows: readonly WorkerRecord[]): Promise<void> {
    for (const dead of deadTermsOf(rows, false)) {
      if (dead.afterTerm >= dead.throughTerm || (await store.hasJobsOf(dead))) continue;
      await store.markEmptied(dead.workerId, dead.throughTerm);
    }
  }

  /** Reads the rows of this owner and takes charge of all: a lost answer may have made some of them ours. */
  async function sweep(owner: Owner): Promise<void> {
    let after: JobRef | undefined;
    for (;;) {
      const jobs: readonly Job[] = await store.findOwned(owner, after, CLAIM_BATCH);
      if (options.owner()?.term !== owner.term) return;
      options.onFound(jobs);
      after = jobs.at(-1);
      if (after === undefined || jobs.length < CLAIM_BATCH) return;
    }
  }

  return {
    noteLostAnswer,
    async claimAll(rows) {
      const owner = options.owner();
      if (owner === undefined) return;
      const now = clock.monotonicMs();
      // In a new term, too: what this process inserted under its last one may have come after that was emptied.
      const fromTheFirst =
        owner.term !== lastFullSearchTerm || now - lastFullSearchMs >= fullSearchIntervalMs;
      // Its own among them, whatever the rows say: they may have been read before its term began.
      const living = [
        ...new Set([...options.targets, ...rows.flatMap((row) => (row.over ? [] : row.targets))]),
      ];
      await claimDead(owner, deadTermsOf(rows, fromTheFirst), living);
      if (fromTheFirst) {
        lastFullSearchMs = now;
        lastFullSearchTerm = owner.term;
      }
      await claimUnowned(owner, living);
      await markEmptied(rows);
      if (sweepsDueMs.some((dueMs) => dueMs <= now)) {
        await sweep(owner);
        sweepsDueMs = sweepsDueMs.filter((dueMs) => dueMs > now);
      }
    },
  };
}
