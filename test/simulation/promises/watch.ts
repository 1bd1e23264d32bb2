import { isActive } from "#pkg/job/index.ts";
import type { BatchJob } from "#test/simulation/cloud/batch-job.ts";
import type { Cloud } from "#test/simulation/cloud/cloud.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";
import type { Told } from "#test/simulation/world/caller.ts";
import type { StoreAnswer, StoreCall } from "#test/simulation/world/store-server.ts";
import type { SimWorker } from "#test/simulation/world/worker.ts";
import { createCallerWatch } from "./caller-watch.ts";
import { createCloudWatch } from "./cloud-watch.ts";
import { createLedger } from "./ledger.ts";
import { Promised, type Report, type Tested, type Violation } from "./promise.ts";
import { createRowWatch, nameOf } from "./row-watch.ts";
import { createSecretWatch } from "./secret-watch.ts";
import { createTakeoverWatch } from "./takeover-watch.ts";
import { createTermWatch } from "./term-watch.ts";

export interface WatchOptions {
  readonly nowMs: () => number;
  readonly ttlMs: number;
  readonly claimIntervalMs: number;
  readonly core: () => StoreCore;
  readonly clouds: () => Iterable<Cloud>;
  /** Whether a worker of this world serves the target: what nobody serves may wait for ever. */
  readonly isServed: (target: string) => boolean;
  /** Every worker's process that was ever started. */
  readonly workers: readonly SimWorker[];
  /** Told of the first broken promise. */
  readonly onViolation: (violation: Violation) => void;
}

/** Holds all promises against all that happens. */
export interface Watch {
  readonly violation: Violation | undefined;
  readonly told: Told;
  readonly report: Report;
  onApplied(call: StoreCall, answer: StoreAnswer): void;
  onMade(job: BatchJob): void;
  /** Something was told to whoever reads logs or answers. */
  onTold(where: string, value: unknown): void;
  /** The last fault is over. Answers how long after that the takeover is to be judged. */
  calm(): number;
  judgeTakeover(): void;
  /** What is still to be done before the world is at rest; undefined when nothing is. */
  unfinished(): string | undefined;
  /** At the end of a world: all that had to come about did. */
  conclude(): void;
  /** How often each promise was put to the test. */
  readonly tests: ReadonlyMap<Promised, number>;
  /** How often each type of event stands in the jobs' histories. */
  events(): ReadonlyMap<string, number>;
}

export function createWatch({
  nowMs,
  ttlMs,
  claimIntervalMs,
  core,
  clouds,
  isServed,
  workers,
  onViolation,
}: WatchOptions): Watch {
  let violation: Violation | undefined;
  const report: Report = (promise, words) => {
    if (violation !== undefined) return;
    violation = { promise, words, atMs: nowMs() };
    onViolation(violation);
  };
  const tests = new Map<Promised, number>();
  const tested: Tested = (promise) => void tests.set(promise, (tests.get(promise) ?? 0) + 1);
  const ledger = createLedger(nowMs);
  const cloudWatch = createCloudWatch({ ledger, report, tested, nowMs, clouds });
  const callerWatch = createCallerWatch({ ledger, report, tested, core });
  const { onInserted, isAsked } = callerWatch;
  const { onEnded } = cloudWatch;
  const rowWatch = createRowWatch({ ledger, report, tested, onInserted, onEnded, isAsked });
  const secretWatch = createSecretWatch({ ledger, report, tested });
  const termWatch = createTermWatch({ ledger, report, tested, nowMs, ttlMs, workers });

  const takeoverWatch = createTakeoverWatch({
    ledger,
    report,
    tested,
    nowMs,
    ttlMs,
    claimIntervalMs,
    workers,
  });

  /** A job that has not ended, or whose deletion is not done. */
  function unfinishedJob(): string | undefined {
    for (const job of ledger.jobs.values()) {
      if (ledger.removed.has(job.jobId) || !isServed(job.target)) continue;
      const owner = job.owner === undefined ? "nobody's" : `${job.owner.workerId} term ${job.owner.term}'s`;
      if (isActive(job.status)) return `${nameOf(job)} is ${job.status} ${job.createPhase}, ${owner}`;
      if (job.deleteRequestedAtMs !== undefined) return `${nameOf(job)} is to be deleted, ${owner}`;
    }
    return undefined;
  }

  return {
    get violation() {
      return violation;
    },
    tests,
    told: callerWatch,
    report,
    onApplied(call, answer) {
      rowWatch.applied(core(), call, answer);
      termWatch.applied(core(), call, answer);
      secretWatch.applied(call);
    },
    onMade(job) {
      cloudWatch.onMade(job);
      secretWatch.onMade(job);
    },
    onTold: secretWatch.onTold,
    calm: takeoverWatch.calm,
    judgeTakeover: takeoverWatch.judge,
    unfinished: () => unfinishedJob() ?? cloudWatch.stray(),
    conclude() {
      tested(Promised.NoSurprise);
      if (ledger.jobs.size > 0) tested(Promised.Ends);
      const job = unfinishedJob();
      if (job !== undefined) report(Promised.Ends, job);
      const stray = cloudWatch.stray();
      if (stray !== undefined) report(Promised.NothingLeft, stray);
      callerWatch.check();
      rowWatch.check(core());
    },
    events() {
      const counts = new Map<string, number>();
      for (const job of ledger.jobs.values()) {
        for (const { type } of ledger.histories.get(job.jobId) ?? [])
          counts.set(type, (counts.get(type) ?? 0) + 1);
      }
      return counts;
    },
  };
}
