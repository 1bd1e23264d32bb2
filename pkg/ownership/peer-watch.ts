import type { Owner } from "#pkg/job/index.ts";
import type { DeadTerms, WorkerRecord } from "#pkg/store/index.ts";

/** A term whose beat has stood still for a whole TTL, and the beat it stood at. */
export interface Suspect {
  readonly owner: Owner;
  readonly beat: number;
}

/**
 * Watches the beats of other workers' open terms. Pure: it is told what was read and when the answer came, on the
 * watcher's own monotonic clock, and says whose beat has stood still for a whole TTL.
 */
export interface PeerWatch {
  /**
   * Takes in what a read of all workers' rows showed. `answeredAtMs` is the moment of its answer, not of its question.
   * No silence from before `heardSinceMs` counts, and none at all where that is undefined: the watcher could not have
   * been heard itself.
   */
  look(
    rows: readonly WorkerRecord[],
    answeredAtMs: number,
    heardSinceMs: number | undefined,
  ): readonly Suspect[];
}

export function createPeerWatch(options: { readonly workerId: string; readonly ttlMs: number }): PeerWatch {
  let watched = new Map<string, { term: number; beat: number; sinceMs: number }>();

  return {
    look(rows, answeredAtMs, heardSinceMs) {
      const suspects: Suspect[] = [];
      const next: typeof watched = new Map();
      for (const { workerId, term, over, beat } of rows) {
        if (over || workerId === options.workerId) continue;
        const before = watched.get(workerId);
        const sameBeat = before !== undefined && before.term === term && before.beat === beat;
        const sinceMs = sameBeat ? before.sinceMs : answeredAtMs;
        next.set(workerId, { term, beat, sinceMs });
        if (heardSinceMs === undefined) continue;
        if (answeredAtMs - Math.max(sinceMs, heardSinceMs) >= options.ttlMs)
          suspects.push({ owner: { workerId, term }, beat });
      }
      watched = next;
      return suspects;
    },
  };
}

/** Which terms are over, by value, of every worker that has any. `fromTheFirst` ignores the hint that some are empty. */
export function deadTermsOf(rows: readonly WorkerRecord[], fromTheFirst: boolean): readonly DeadTerms[] {
  return rows
    .map(({ workerId, term, over, emptiedThrough }) => ({
      workerId,
      afterTerm: fromTheFirst ? 0 : emptiedThrough,
      throughTerm: over ? term : term - 1,
    }))
    .filter(({ throughTerm }) => throughTerm > 0);
}
