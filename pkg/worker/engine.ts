import { type BatchProvider, createCallBudget } from "#pkg/batch/index.ts";
import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { createDispatcher, type Dispatcher, type ServedTarget } from "#pkg/dispatch/index.ts";
import { JOB_LEVEL, KIND_CONTAINER } from "#pkg/job/index.ts";
import { createGroup } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { createOwnership, type Ownership } from "#pkg/ownership/index.ts";
import { createInventory, createTracker, type Tracker } from "#pkg/tracking/index.ts";
import type { Engine, Foundation } from "./ports.ts";
import type { WorkerSettings } from "./settings.ts";
import { createUpkeep } from "./upkeep.ts";

export interface EngineOptions {
  readonly settings: Pick<
    WorkerSettings,
    | "ORPHAN_POLICY"
    | "SETTLE_SECONDS"
    | "WORKER_ADVERTISE_URL"
    | "WORKER_MAX_ACTIVE_JOBS"
    | "WORKER_LEASE_TTL_SECONDS"
    | "WORKER_CLAIM_INTERVAL_SECONDS"
  >;
  readonly workerId: string;
  /** Random, new at each start of the process. */
  readonly instance: string;
  /** The release that runs, for people. */
  readonly version: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Logger;
  readonly providers: readonly BatchProvider[];
}

/**
 * Puts floor 4 together. Ownership starts first and is drained last: until its term ends, nobody else may touch what is in
 * flight here. What it claims before the others have started waits in them.
 */
export function createEngine(
  options: EngineOptions,
  foundation: Foundation,
): Engine & { readonly ownership: Ownership } {
  const { settings, clock, entropy, log, providers } = options;
  const { store, deploymentId, keyring } = foundation;
  const targets = providers.map((provider): ServedTarget => ({ provider, budget: budgetOf(provider) }));
  // The three know of each other; what is called only once all of them run may be declared before.
  let ownership: Ownership;
  let dispatcher: Dispatcher;

  function budgetOf({ capabilities, target }: BatchProvider) {
    const callsPerSecond = () => capabilities.maxCallsPerSecond / Math.max(1, liveWorkersOf(target).length);
    return createCallBudget({ clock, entropy, callsPerSecond });
  }

  function liveWorkersOf(target: string): readonly string[] {
    const live = ownership.workers.filter((worker) => !worker.over && worker.targets.includes(target));
    return live.map((worker) => worker.workerId).sort();
  }

  const tracker: Tracker = createTracker({
    clock,
    entropy,
    log,
    targets,
    onObserved: (jobId, batchJobId, state) => dispatcher.observed(jobId, batchJobId, state),
  });

  dispatcher = createDispatcher({
    store,
    clock,
    entropy,
    log,
    deploymentId,
    targets,
    settleMs: settings.SETTLE_SECONDS,
    reign: {
      get owner() {
        return ownership.owner;
      },
      trustedForMs: () => ownership.trustedForMs(),
    },
    openEnv: (job) => keyring.open(job, job),
    watcher: tracker,
    onEnded: foundation.onEnded,
  });

  ownership = createOwnership({
    store,
    clock,
    log,
    workerId: options.workerId,
    instance: options.instance,
    description: {
      url: settings.WORKER_ADVERTISE_URL,
      version: options.version,
      level: JOB_LEVEL,
      targets: providers.map((provider) => provider.target),
      kinds: [KIND_CONTAINER],
      capacity: settings.WORKER_MAX_ACTIVE_JOBS,
    },
    ttlMs: settings.WORKER_LEASE_TTL_SECONDS,
    claimIntervalMs: settings.WORKER_CLAIM_INTERVAL_SECONDS,
    load: () => dispatcher.activeJobs,
    onClaimed: (jobs) => dispatcher.takeOver(jobs),
    onFound: (jobs) => dispatcher.found(jobs),
    onTermLost: () => dispatcher.forgetAll(),
  });

  const inventory = createInventory({
    store,
    clock,
    entropy,
    log,
    deploymentId,
    targets,
    // One is enough; which one matters not, as long as the live ones agree.
    isMine: (target) => liveWorkersOf(target)[0] === options.workerId,
    orphanPolicy: settings.ORPHAN_POLICY,
    // Where another worker owns it, that one asks the cloud by itself.
    onPending: (job) => dispatcher.requested(job),
  });

  return {
    service: createGroup("engine", [
      ownership,
      dispatcher,
      tracker,
      inventory,
      createUpkeep({ store, clock, log }),
    ]),
    ownership,
    dispatcher,
    retire: () => ownership.retire(),
    ended: ownership.ended,
  };
}
