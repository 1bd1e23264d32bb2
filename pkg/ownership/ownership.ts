import type { Clock } from "#pkg/clock/index.ts";
import { StartupError } from "#pkg/errors/index.ts";
import type { Job, Owner } from "#pkg/job/index.ts";
import { createLoop, createService, type Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { BeginTerm, JobStore, WorkerRecord } from "#pkg/store/index.ts";
import { createClaimer } from "./claimer.ts";
import { createPeerWatch } from "./peer-watch.ts";
import { createTermKeeper } from "./term-keeper.ts";

export interface OwnershipOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly log: Logger;
  /** `WORKER_ID`. */
  readonly workerId: string;
  /** Random, new at each start of the process. */
  readonly instance: string;
  /** What this worker says of itself; its targets, level and capacity are also what it claims by. */
  readonly description: Omit<BeginTerm, "workerId" | "instance" | "expected">;
  /** `WORKER_LEASE_TTL_SECONDS`, in milliseconds. */
  readonly ttlMs: number;
  /** `WORKER_CLAIM_INTERVAL_SECONDS`, in milliseconds. */
  readonly claimIntervalMs: number;
  /** Between two searches that ignore the hint that a dead term is empty; milliseconds. Default one minute. */
  readonly fullSearchIntervalMs?: number;
  /** How many active jobs this worker has charge of. */
  readonly load: () => number;
  /** Takes charge of jobs that this worker owns now. Must not throw; those it knows already are no news to it. */
  readonly onClaimed: (jobs: readonly Job[]) => void;
  /**
   * Takes charge of jobs that a search found to be this worker's. Their rows are as they stood when it was asked: this
   * worker may have ended some since. Must not throw.
   */
  readonly onFound: (jobs: readonly Job[]) => void;
  /** The term is over: every job that was owned under it is out of reach, and must be forgotten. Must not throw. */
  readonly onTermLost: () => void;
}

export interface Ownership extends Service {
  /** The open term that this worker holds as far as it knows; undefined while it holds none. */
  readonly owner: Owner | undefined;
  /** Milliseconds from now on for which the lease is certain to be held; 0 when it is not. */
  trustedForMs(): number;
  /** All workers' rows as the last look showed them; empty before the first. */
  readonly workers: readonly WorkerRecord[];
  /** An insert of jobs for this owner was sent and its answer lost: look for what may be ours. */
  noteLostAnswer(): void;
  /** Claims nothing from now on, and tells so with the next renewal; the term stays until the drain. */
  retire(): void;
  /** Never resolves; rejects with a `StartupError` (78) when another instance has taken this worker id. */
  readonly ended: Promise<void>;
}

/** The longest rest between two looks at the workers' rows: how soon the end of a term is seen. */
const LONGEST_LOOK_INTERVAL_MS = 1_000;

/**
 * Starts with a term begun, and ends it in `drain`, or in `stop` when that did not. Two loops run between: one renews,
 * the other looks, expires and claims; neither waits for the other, so that a long claim never delays a renewal.
 */
export function createOwnership(options: OwnershipOptions): Ownership {
  const { store, clock, log, workerId, ttlMs, claimIntervalMs } = options;
  const ended = Promise.withResolvers<void>();
  // Whoever runs the process awaits it; nobody has to.
  ended.promise.catch(() => undefined);
  let draining = false;
  let workers: readonly WorkerRecord[] = [];

  const keeper = createTermKeeper({ ...options, now: () => ({ load: options.load(), draining }) });
  const watch = createPeerWatch({ workerId, ttlMs });
  const claimer = createClaimer({
    ...options,
    targets: options.description.targets,
    level: options.description.level,
    capacity: options.description.capacity,
    owner: () => (draining ? undefined : keeper.owner),
  });

  let lastRenewalMs = 0;
  const renewals = createLoop({
    name: "ownership-renewals",
    clock,
    intervalMs: () => Math.max(0, lastRenewalMs + ttlMs / 3 - clock.monotonicMs()),
    step: keepTerm,
    onError: failed("the term could not be renewed"),
  });

  async function keepTerm(): Promise<void> {
    lastRenewalMs = clock.monotonicMs();
    if (keeper.owner !== undefined && (await keeper.renew()) === "held") return;
    options.onTermLost();
    await keeper.begin();
    claims.wake();
  }

  let lastClaimMs = Number.NEGATIVE_INFINITY;
  let lastDead = "";
  const claims = createLoop({
    name: "ownership-claims",
    clock,
    intervalMs: () => Math.min(claimIntervalMs / 2, LONGEST_LOOK_INTERVAL_MS),
    step: lookAndClaim,
    onError: failed("looking for jobs to take over failed"),
  });

  async function lookAndClaim(): Promise<void> {
    workers = await store.readWorkers();
    if (await expireSilent(clock.monotonicMs())) workers = await store.readWorkers();
    const dead = workers.map((row) => `${row.workerId}:${row.over ? row.term : row.term - 1}`).join();
    if (dead === lastDead && clock.monotonicMs() - lastClaimMs < claimIntervalMs) return;
    await claimer.claimAll(workers);
    lastDead = dead;
    lastClaimMs = clock.monotonicMs();
  }

  async function expireSilent(answeredAtMs: number): Promise<boolean> {
    let any = false;
    for (const { owner, beat } of watch.look(workers, answeredAtMs, keeper.heardSinceMs())) {
      if (!(await store.expireTerm(owner, beat))) continue;
      any = true;
      log.warn(
        { worker_id: owner.workerId, term: owner.term, by: workerId },
        "term expired: its worker was silent",
      );
    }
    return any;
  }

  function failed(message: string): (error: unknown) => void {
    return (error) => {
      if (error instanceof StartupError) {
        options.onTermLost();
        ended.reject(error);
      }
      log.error({ err: error, worker_id: workerId }, message);
    };
  }

  let ending: Promise<void> | undefined;

  /** A stop may come while a drain that was cut off is still at it, and joins it; or after one that failed, and tries again. */
  function end(): Promise<void> {
    ending ??= leave().finally(() => {
      ending = undefined;
    });
    return ending;
  }

  async function leave(): Promise<void> {
    draining = true;
    await claims.stop();
    await renewals.stop();
    await keeper.end();
  }

  const service = createService({
    name: "ownership",
    async start() {
      await keeper.begin();
      lastRenewalMs = clock.monotonicMs();
      await renewals.start();
      await claims.start();
    },
    drain: end,
    async stop() {
      try {
        await end();
      } catch (error) {
        // The lease runs out by itself; peers only wait longer.
        log.warn(
          { err: error, worker_id: workerId },
          "the term could not be ended; peers wait for it to expire",
        );
      }
    },
  });

  return Object.defineProperties(
    {
      get owner() {
        return keeper.owner;
      },
      get workers() {
        return workers;
      },
      trustedForMs: keeper.trustedForMs,
      noteLostAnswer: claimer.noteLostAnswer,
      retire() {
        draining = true;
      },
      ended: ended.promise,
    },
    Object.getOwnPropertyDescriptors(service),
  ) as Ownership;
}
