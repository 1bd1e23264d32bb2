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
  /** Looks at it soon, tells what it finds even if it told the same before, and looks as often as at a young one from now on. */
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
  /** What was told last, and is told again only when it is asked for. */
  told: string;
}

/** What the cloud is given between a request to end a batch job and the first look for its effect. */
const SOON_MS = 200;

/** The longest rest of a loop, and the shortest: looks that fall due together go out together. */
const LONGEST_REST_MS = 1_000;
const SHORTEST_REST_MS = 100;

const DESCRIBE_TIMEOUT_MS = 30_000;
/** A round ends when so many questions in a row came to nothing: then it is the cloud, and no single batch job. */
const MAX_UNANSWERED = 3;
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

  /**
   * The longest due come first, and what could not be asked about is due again later: so it keeps nobody from the others,
   * in this round or in one that ended early because the cloud does not answer at all. @throws the first error
   */
  async function lookAtDue(stopping: AbortSignal): Promise<void> {
    const now = clock.monotonicMs();
    const due = [...entries.values()].filter((entry) => entry.dueMs <= now).sort((a, b) => a.dueMs - b.dueMs);
    const size = provider.capabilities.maxDescribe;
    const errors: unknown[] = [];
    let unanswered = 0;
    for (let start = 0; start < due.length && unanswered < MAX_UNANSWERED; start += size) {
      const batch = due.slice(start, start + size);
      try {
        await lookAt(batch, stopping);
        failures = 0;
        unanswered = 0;
      } catch (error) {
        if (stopping.aborted) throw error;
        // At once, so that the next batch rests with all other calls.
        if (error instanceof ThrottledError) budget.throttled(error.retryAfterMs);
        for (const entry of batch) entry.dueMs = nextLookMs(entry);
        unanswered += 1;
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  function nextLookMs(entry: Entry): number {
    return clock.monotonicMs() + restMs(clock.nowMs() - entry.youngSinceMs, entropy.uniform());
  }

  async function lookAt(batch: readonly Entry[], stopping: AbortSignal): Promise<void> {
    await budget.take(stopping);
    const late = () => new UnavailableError("PROVIDER_TIMEOUT", "the provider did not answer in time");
    const ids = batch.map((entry) => entry.item.batchJobId);
    const states = await withTimeout(
      clock,
      DESCRIBE_TIMEOUT_MS,
      late,
      (signal) => provider.describe(ids, signal, budget.spend),
      stopping,
    );
    budget.answered();
    for (const entry of batch) {
      // Taken off, or another attempt's by now, while the cloud was asked.
      if (entries.get(entry.item.jobId) === entry) tell(entry, states);
    }
  }

  function tell(entry: Entry, states: ReadonlyMap<string, BatchJobState | undefined>): void {
    const { item } = entry;
    const now = clock.nowMs();
    const state = states.get(item.batchJobId);
    entry.dueMs = nextLookMs(entry);
    if (state === undefined) {
      // What could not be read is no miss.
      if (states.has(item.batchJobId)) return;
      entry.misses += 1;
      if (isLost(entry.misses, now - item.sinceMs)) options.onObserved(item.jobId, item.batchJobId, "lost");
      return;
    }
    entry.misses = 0;
    const news = `${state.phase} ${state.startedAtMs} ${state.reason}`;
    if (news === entry.told && !hasEnded(state.phase)) return;
    entry.told = news;
    options.onObserved(item.jobId, item.batchJobId, state);
  }

  function afterFailure(error: unknown): void {
    failures += 1;
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
      entry.told = "";
      entry.youngSinceMs = clock.nowMs();
      entry.dueMs = Math.min(entry.dueMs, clock.monotonicMs() + SOON_MS);
    },
    unwatch(jobId) {
      entries.delete(jobId);
    },
  };
}
