import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DEPLOYMENT, never, requestFor } from "#pkg/batch/conformance/harness.ts";
import { toBatchJob } from "#pkg/batch/gcp/spec.ts";
import { type BatchJobState, createCallBudget } from "#pkg/batch/index.ts";
import { createManualClock, createSeededEntropy, systemClock } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createTracker } from "#pkg/tracking/index.ts";
import { openWorld, type World } from "./harness.ts";

const JOBS = 10_000;
/** What Batch allows in a minute and a region. */
const MUTATIONS = 6_000;
const READS = 15_000;
const NONE = { variables: {}, secretVariables: {}, malformed: [] };

let world: World;
let ids: readonly string[];
beforeAll(async () => {
  world = await openWorld();
  await world.provider.start();
  const requests = Array.from({ length: JOBS }, () =>
    requestFor({ entrypoint: "/bin/sleep", commands: ["300"] }),
  );
  for (const request of requests) {
    world.cloud.create({
      parent: "projects/test-project/locations/us-central1",
      jobId: request.batchJobId,
      requestId: "",
      job: toBatchJob(request, NONE, { region: "us-central1", serviceAccount: "" }),
    });
  }
  ids = requests.map(({ batchJobId }) => batchJobId);
});
afterAll(() => world.close());

describe(`${JOBS} active jobs`, () => {
  it("are told of by one call for each hundred, and inventoried by one for each thousand", async () => {
    const { maxDescribe } = world.provider.capabilities;
    const before = world.cloud.calls.length;
    const startMs = systemClock.monotonicMs();
    let told = 0;
    for (let from = 0; from < JOBS; from += maxDescribe) {
      told += (await world.provider.describe(ids.slice(from, from + maxDescribe), never())).size;
    }
    const round = world.cloud.calls.length - before;
    const roundMs = Math.round(systemClock.monotonicMs() - startMs);
    let listed = 0;
    for await (const page of world.provider.inventory(DEPLOYMENT, never())) listed += page.length;
    const inventory = world.cloud.calls.length - before - round;
    process.stdout.write(
      `${JOBS} jobs: ${round} calls a round (${roundMs} ms here), ${inventory} an inventory\n`,
    );
    expect({ told, round, listed, inventory }).toEqual({
      told: JOBS,
      round: 100,
      listed: JOBS,
      inventory: 10,
    });
  });

  it("cost in a simulated hour no more calls than Batch allows in any minute, however many are new", async () => {
    const clock = createManualClock();
    const entropy = createSeededEntropy(1);
    const { capabilities, target } = world.provider;
    const minutes = new Map<number, number>();
    // The answers are made up, so that an hour takes a moment; how often is asked is what is looked at.
    const describe_ = async (asked: readonly string[]) => {
      const minute = Math.floor(clock.monotonicMs() / 60_000);
      minutes.set(minute, (minutes.get(minute) ?? 0) + 1);
      return new Map(asked.map((id) => [id, runningState(id)]));
    };
    const tracker = createTracker({
      clock,
      entropy,
      log: createLogger({ level: LogLevel.Silent, format: LogFormat.Json }),
      targets: [
        {
          provider: { ...world.provider, target, capabilities, describe: describe_ },
          budget: createCallBudget({ clock, entropy, callsPerSecond: () => capabilities.maxCallsPerSecond }),
        },
      ],
      onObserved: () => undefined,
    });
    await tracker.start();
    for (const id of ids) tracker.watch({ jobId: id, target, batchJobId: id, sinceMs: clock.nowMs() });
    for (let minute = 0; minute < 60; minute += 1) await clock.advance(60_000);
    await tracker.stop();
    const counts = [...minutes.values()];
    const [peak, last] = [Math.max(...counts), counts.at(-1) ?? 0];
    process.stdout.write(
      `${JOBS} jobs in an hour: at most ${peak} calls a minute, ${last} in the last one\n`,
    );
    expect(peak).toBeLessThan(READS);
    expect(last).toBeLessThan(1_000);
    // All kinds of calls together stay below the least of the limits, whatever the mixture.
    expect(capabilities.maxCallsPerSecond * 60).toBeLessThan(Math.min(MUTATIONS, READS));
  });
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
