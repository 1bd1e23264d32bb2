import {
  type BatchJobState,
  type BatchProvider,
  type CallBudget,
  hasEnded,
  ThrottledError,
} from "#pkg/batch/index.ts";
import { type Backoff, backoffMs, type Clock, type Entropy, withTimeout } from "#pkg/clock/index.ts";
import { InvariantError, UnavailableError } from "#pkg/errors/index.ts";
import { createGroup, createLoop, type Loop, type Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { isLost, restMs } from "./schedule.ts";

/** A batch job that is watched. */
export interface TrackedItem {
  readonly jobId: string;
  readonly target: string;
  readonly batchJobId: string;
  /** When the cloud took it; wall clock. */
  readonly sinceMs: number;
}

export interface TrackerOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Logger;
  readonly targets: readonly { readonly provider: BatchProvider; readonly budget: CallBudget }[];
  /**
   * Told of a state that is news, again and again of one that has ended until the item is taken off, and of one that is
   * lost. Must not throw.
   */
  readonly onObserved: (jobId: string, batchJobId: string, state: BatchJobState | "lost") => void;
}

export interface Tracker extends Service {
  /** Watches a batch job from now on; the same one again changes nothing. */
  watch(item: TrackedItem): void;
  /** Looks at it soon, and as often as at a young one from now on. */
  lookSoon(jobId: string): void;
  unwatch(jobId: string): void;
  /** How many are watched. */
  readonly size: number;
}

interface Entry {
  readonly item: TrackedItem;
  /** The moment that its age is counted from, for how often it is looked at. */
  youngSinceMs: number;
  /** Next look; monotonic. */
  dueMs: number;
  misses: number;
  /** What was told last. */
  told: string;
}

/** What the cloud is given between a request to end a batch job and the first look for its effect. */
const SOON_MS = 200;

/** The longest rest of a loop, and the shortest: looks that fall due together go out together. */
const LONGEST_REST_MS = 1_000;
const SHORTEST_REST_MS = 100;

const DESCRIBE_TIMEOUT_MS = 30_000;
const FAILURE_BACKOFF: Backoff = { initialMs: 1_000, maxMs: 30_000, factor: 2 };

/** One loop for each target, so that a slow cloud delays no other. */
export function createTracker(options: TrackerOptions): Tracker {
  const lanes = new Map(
    options.targets.map((served) => [served.provider.target, createLane(served, options)]),
  );
  const targetOf = new Map<string, string>();
  const service = createGroup(
    "tracking",
    [...lanes.values()].map((lane) => lane.loop),
  );

  function laneOf(jobId: string): Lane | undefined {
    const target = targetOf.get(jobId);
    return target === undefined ? undefined : lanes.get(target);
  }

  return Object.defineProperties(
    {
      watch(item: TrackedItem) {
        const lane = lanes.get(item.target);
        if (lane === undefined) throw new InvariantError(`target ${item.target} is not served here`);
        targetOf.set(item.jobId, item.target);
        lane.watch(item);
      },
      lookSoon(jobId: string) {
        laneOf(jobId)?.lookSoon(jobId);
      },
      unwatch(jobId: string) {
        laneOf(jobId)?.unwatch(jobId);
        targetOf.delete(jobId);
      },
      get size() {
        return targetOf.size;
      },
    },
    Object.getOwnPropertyDescriptors(service),
  ) as Tracker;
}

interface Lane extends Pick<Tracker, "watch" | "lookSoon" | "unwatch"> {
  readonly loop: Loop;
}

function createLane({ provider, budget }: TrackerOptions["targets"][number], options: TrackerOptions): Lane {
  const { clock, entropy, log } = options;
  const entries = new Map<string, Entry>();
  let failures = 0;
  let restUntilMs = 0;

  async function lookAtDue(stopping: AbortSignal): Promise<void> {
    const now = clock.monotonicMs();
    const due = [...entries.values()].filter((entry) => entry.dueMs <= now);
    const size = provider.capabilities.maxDescribe;
    for (let start = 0; start < due.length; start += size) {
      await lookAt(due.slice(start, start + size), stopping);
      failures = 0;
    }
  }

  async function lookAt(batch: readonly Entry[], stopping: AbortSignal): Promise<void> {
    await budget.take(stopping);
    const late = () => new UnavailableError("PROVIDER_TIMEOUT", "the provider did not answer in time");
    const ids = batch.map((entry) => entry.item.batchJobId);
    const states = await withTimeout(
      clock,
      DESCRIBE_TIMEOUT_MS,
      late,
      (signal) => provider.describe(ids, signal),
      stopping,
    );
    budget.answered();
    for (const entry of batch) {
      // Taken off, or another attempt's by now, while the cloud was asked.
      if (entries.get(entry.item.jobId) === entry) tell(entry, states.get(entry.item.batchJobId));
    }
  }

  function tell(entry: Entry, state: BatchJobState | undefined): void {
    const { item } = entry;
    const now = clock.nowMs();
    entry.dueMs = clock.monotonicMs() + restMs(now - entry.youngSinceMs, entropy.uniform());
    if (state === undefined) {
      entry.misses += 1;
      if (isLost(entry.misses, now - item.sinceMs)) options.onObserved(item.jobId, item.batchJobId, "lost");
      return;
    }
    entry.misses = 0;
    const news = `${state.phase} ${state.startedAtMs}`;
    if (news === entry.told && !hasEnded(state.phase)) return;
    entry.told = news;
    options.onObserved(item.jobId, item.batchJobId, state);
  }

  function afterFailure(error: unknown): void {
    failures += 1;
    if (error instanceof ThrottledError) budget.throttled(error.retryAfterMs);
    restUntilMs = clock.monotonicMs() + backoffMs(FAILURE_BACKOFF, failures, entropy);
    log.warn({ err: error, target: provider.target, failures }, "the provider could not be asked for states");
  }

  function restOfLoopMs(): number {
    const now = clock.monotonicMs();
    let nextMs = now + LONGEST_REST_MS;
    for (const { dueMs } of entries.values()) nextMs = Math.min(nextMs, dueMs);
    return Math.max(SHORTEST_REST_MS, nextMs - now, restUntilMs - now);
  }

  const loop = createLoop({
    name: `tracking ${provider.target}`,
    clock,
    intervalMs: restOfLoopMs,
    step: lookAtDue,
    onError: afterFailure,
  });

  return {
    loop,
    watch(item) {
      if (entries.get(item.jobId)?.item.batchJobId === item.batchJobId) return;
      const dueMs = clock.monotonicMs() + restMs(clock.nowMs() - item.sinceMs, entropy.uniform()) / 2;
      entries.set(item.jobId, { item, youngSinceMs: item.sinceMs, dueMs, misses: 0, told: "" });
    },
    lookSoon(jobId) {
      const entry = entries.get(jobId);
      if (entry === undefined) return;
      entry.youngSinceMs = clock.nowMs();
      entry.dueMs = Math.min(entry.dueMs, clock.monotonicMs() + SOON_MS);
    },
    unwatch(jobId) {
      entries.delete(jobId);
    },
  };
}
