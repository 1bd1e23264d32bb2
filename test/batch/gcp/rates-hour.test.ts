import { afterAll, beforeAll, expect, it } from "vitest";
import { type BatchJobState, createCallBudget } from "#pkg/batch/index.ts";
import { createManualClock, createSeededEntropy } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createTracker } from "#pkg/tracking/index.ts";
import { openWorld, type World } from "./harness.ts";

/**
 * A whole simulated hour of many jobs that run on. The answers are made up, so that it takes seconds, and each question counts
 * as one request, as it is where lists are up to date; where they are not, `rates.test.ts` counts what leaves over the wire.
 */
const JOBS = 10_000;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
/** What Batch allows in a minute and a region. */
const MUTATIONS = 6_000;
const READS = 15_000;
/** Old jobs are asked about seldom. */
const STEADY = 1_000;

let world: World;
beforeAll(async () => {
  world = await openWorld();
  await world.provider.start();
});
afterAll(() => world.close());

it(`${JOBS} active jobs, all of them new at once, cost no minute of an hour more calls than Batch allows`, async () => {
  const clock = createManualClock();
  const entropy = createSeededEntropy(1);
  const { capabilities, target } = world.provider;
  const minutes = new Map<number, number>();
  const describeMadeUp = async (asked: readonly string[]) => {
    const minute = Math.floor(clock.monotonicMs() / MINUTE_MS);
    minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
    return new Map(asked.map((id) => [id, runningState(id)]));
  };
  const provider = { ...world.provider, target, capabilities, describe: describeMadeUp };
  const budget = createCallBudget({ clock, entropy, callsPerSecond: () => capabilities.maxCallsPerSecond });
  const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
  const tracker = createTracker({
    clock,
    entropy,
    log,
    targets: [{ provider, budget }],
    onObserved: () => undefined,
  });
  await tracker.start();
  for (let index = 0; index < JOBS; index += 1) {
    const id = `job-${index}`;
    tracker.watch({ jobId: id, target, batchJobId: id, sinceMs: clock.nowMs() });
  }
  for (let passedMs = 0; passedMs < HOUR_MS; passedMs += MINUTE_MS) await clock.advance(MINUTE_MS);
  await tracker.stop();
  const counts = [...minutes.values()];
  const [peak, last] = [Math.max(...counts), counts.at(-1) ?? 0];
  process.stdout.write(`${JOBS} jobs in an hour: at most ${peak} calls a minute, ${last} in the last one\n`);
  expect(counts.length).toBe(HOUR_MS / MINUTE_MS);
  expect(peak).toBeLessThan(Math.min(MUTATIONS, READS));
  expect(last).toBeLessThan(STEADY);
  // All kinds of calls together stay below the least of the limits, whatever the mixture.
  expect(capabilities.maxCallsPerSecond * 60).toBeLessThan(Math.min(MUTATIONS, READS));
});

function runningState(batchJobId: string): BatchJobState {
  return {
    batchJobId,
    providerJobId: batchJobId,
    phase: "RUNNING",
    providerState: "RUNNING",
    startedAtMs: 1,
    endedAtMs: undefined,
    reason: undefined,
    message: undefined,
    exitCode: undefined,
    endedUnstarted: false,
  };
}
