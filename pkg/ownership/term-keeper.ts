import { type Clock, elapsedBothMs, type Instant, instantOf } from "#pkg/clock/index.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import type { Owner } from "#pkg/job/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { BeginTerm, JobStore, WorkerRecord } from "#pkg/store/index.ts";

/** The share of the TTL that trust ends before the lease could: room for clocks that run at different speeds. */
const MARGIN = 1 / 10;

export interface TermKeeperOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly log: Logger;
  readonly workerId: string;
  /** Which start of this worker: random, never used again. */
  readonly instance: string;
  readonly description: Omit<BeginTerm, "workerId" | "instance" | "expected">;
  readonly ttlMs: number;
  /** What the next renewal tells. */
  readonly now: () => { readonly load: number; readonly draining: boolean };
}

/** This worker's own term: begun, renewed, lost and begun again, ended. One call at a time; its loop sees to that. */
export interface TermKeeper {
  /** The term that is held as far as is known; undefined before the first, after a loss, and after the end. */
  readonly owner: Owner | undefined;
  /** Milliseconds from now on for which the lease is certain to be held; 0 when it is not. */
  trustedForMs(): number;
  /**
   * Since when this worker has been heard without a gap, on the monotonic clock: since the answer of the first renewal
   * after one that came too late. Undefined while a renewal is overdue. Who is not heard must not judge who else is silent.
   */
  heardSinceMs(): number | undefined;
  /** Begins a term. @throws StartupError (78) when another instance has taken this worker id. */
  begin(): Promise<void>;
  /** Renews the term. `lost` means that it is over, and that `owner` is now undefined. @throws StartupError likewise. */
  renew(): Promise<"held" | "lost">;
  /** Ends the term, and trust in it at once. Where the store did not answer, the next call tries it again. */
  end(): Promise<void>;
}

export function createTermKeeper(options: TermKeeperOptions): TermKeeper {
  const { store, clock, log, workerId, instance, ttlMs } = options;
  let owner: Owner | undefined;
  /** The term whose end the store has not answered yet. */
  let unended: Owner | undefined;
  let everHeld = false;
  /** Before the last write that kept or began the term was sent. */
  let keptAt: Instant | undefined;
  let heardSinceMs = 0;

  /** Renewals go out every third of the TTL; the second third is what one may take until it counts as unheard. */
  function isOverdue(): boolean {
    return keptAt === undefined || elapsedBothMs(clock, keptAt) > (ttlMs * 2) / 3;
  }

  /** A write that keeps the term, sent at `sentAt`, was answered now. */
  function heard(sentAt: Instant): void {
    if (isOverdue()) heardSinceMs = clock.monotonicMs();
    keptAt = sentAt;
  }

  function hold(row: WorkerRecord, sentAt: Instant): void {
    owner = { workerId, term: row.term };
    heard(sentAt);
    everHeld = true;
  }

  function letGo(): void {
    owner = undefined;
    keptAt = undefined;
  }

  function inUse(row: WorkerRecord): StartupError {
    letGo();
    return new StartupError(`WORKER_ID ${workerId} is in use by instance ${row.instance}`, ExitCode.Config);
  }

  async function begin(): Promise<void> {
    let row = (await store.readWorkers()).find((each) => each.workerId === workerId);
    for (;;) {
      if (everHeld && row !== undefined && row.instance !== instance) throw inUse(row);
      const sentAt = instantOf(clock);
      // A begin whose answer was lost: the term is there, and ours. Trust begins with the next renewal.
      if (row !== undefined && row.instance === instance && !row.over) {
        const renewed = await store.renewTerm({ workerId, term: row.term }, instance, options.now());
        if (renewed.applied && renewed.row !== undefined) return hold(renewed.row, sentAt);
        row = renewed.row;
        continue;
      }
      const expected = row && { term: row.term, instance: row.instance, over: row.over };
      const result = await store.beginTerm({ ...options.description, workerId, instance, expected });
      row = result.row;
      if (!result.applied || row === undefined) continue;
      log.info({ worker_id: workerId, term: row.term, instance }, "term begun");
      return hold(row, sentAt);
    }
  }

  async function renew(): Promise<"held" | "lost"> {
    const held = owner;
    if (held === undefined) return "lost";
    const sentAt = instantOf(clock);
    const { applied, row } = await store.renewTerm(held, instance, options.now());
    if (applied) {
      heard(sentAt);
      return "held";
    }
    if (row !== undefined && row.instance !== instance) throw inUse(row);
    log.warn(
      { worker_id: workerId, term: held.term },
      "term is over: it was expired while this worker was not heard",
    );
    letGo();
    return "lost";
  }

  async function end(): Promise<void> {
    const held = owner ?? unended;
    letGo();
    unended = held;
    if (held === undefined) return;
    await store.endTerm(held, instance);
    unended = undefined;
    log.info({ worker_id: workerId, term: held.term }, "term ended");
  }

  return {
    get owner() {
      return owner;
    },
    trustedForMs() {
      if (owner === undefined || keptAt === undefined) return 0;
      return Math.max(0, ttlMs * (1 - MARGIN) - elapsedBothMs(clock, keptAt));
    },
    heardSinceMs: () => (isOverdue() ? undefined : heardSinceMs),
    begin,
    renew,
    end,
  };
}
