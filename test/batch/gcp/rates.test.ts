import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { DEPLOYMENT, never, requestFor } from "#pkg/batch/conformance/harness.ts";
import { toBatchJob } from "#pkg/batch/gcp/spec.ts";
import { systemClock } from "#pkg/clock/index.ts";
import { startFleet } from "./fleet.ts";
import { openWorld, type World } from "./harness.ts";

const JOBS = 10_000;
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
});

/** What Batch allows in a minute and a region. */
const MUTATIONS = 6_000;
const READS = 15_000;
/** What all workers make of them together, and what a worker may be ahead of that. */
const PER_MINUTE = 80 * 60;
const AHEAD = 250;
const MINUTE_MS = 60_000;

describe("workers that share a region stay below what Batch allows in any minute", () => {
  // A whole hour over the wire would take minutes; nothing of it is busier than these (`rates-hour.test.ts` passes one).
  it("in five minutes in which lists lag, everything fails without a reason, is tried again, cancelled and deleted", async () => {
    const [workers, jobs] = [3, 300];
    const fleet = await startFleet({ workers, jobs });
    onTestFinished(() => fleet.stop());
    const { cloud } = fleet;
    const unpaid = cloud.calls.length - fleet.paid;
    for (const id of [...fleet.idsOf(1), ...fleet.idsOf(2)]) cloud.hold(id);
    cloud.lagLists(60_000);
    await fleet.begin();
    await fleet.pass(1.5 * MINUTE_MS);
    // Each task is asked for, and a few times in vain.
    cloud.misbehave({ method: "GetTask", times: 3 * jobs, before: { status: "INTERNAL", words: "oh" } });
    for (const id of fleet.idsOf(1)) cloud.fail(id, {});
    await fleet.pass(2 * MINUTE_MS);
    await fleet.request("cancel");
    await fleet.pass(0.75 * MINUTE_MS);
    await fleet.request("delete");
    await fleet.pass(0.75 * MINUTE_MS);

    const { mutations, reads } = cloud.peaks;
    const both = fleet.busiestMinute();
    process.stdout.write(
      `${workers} workers, ${jobs} jobs: ${cloud.calls.length} calls, in a minute at most ${mutations} changes, ${reads} reads, ${both} of both\n`,
    );
    // All of it did happen.
    const count = (method: string) => cloud.calls.filter((call) => call.method === method).length;
    expect([count("CreateJob"), count("CancelJob"), count("DeleteJob")]).toEqual([2 * jobs, jobs, 2 * jobs]);
    expect(count("GetTask")).toBeGreaterThanOrEqual(4 * jobs);
    expect(cloud.jobs).toEqual([]);
    // Each was paid for, and next to nothing besides: the inventory waits for a page after its last.
    const paidInVain = fleet.paid + unpaid - cloud.calls.length;
    expect(paidInVain).toBeGreaterThanOrEqual(0);
    expect(paidInVain).toBeLessThan(10);
    expect(mutations).toBeLessThan(MUTATIONS);
    expect(both).toBeLessThan(PER_MINUTE + workers * AHEAD);
  });

  it("forty of them, each with a hundred jobs that no list tells of and that failed for a reason which cannot be read", async () => {
    const fleet = await startFleet({ workers: 40, jobs: 4_000 });
    onTestFinished(() => fleet.stop());
    const { cloud } = fleet;
    cloud.lagLists(60 * MINUTE_MS);
    cloud.misbehave({
      method: "GetTask",
      times: Number.POSITIVE_INFINITY,
      before: { status: "INTERNAL", words: "oh" },
    });
    await fleet.takeOver();
    for (const id of fleet.idsOf(1)) cloud.fail(id, {});
    for (let passedMs = 0; passedMs < 1.1 * MINUTE_MS; passedMs += 1_000) {
      await fleet.pass(1_000);
      expect(cloud.peaks.reads).toBeLessThan(READS);
    }
    process.stdout.write(`40 workers, 4000 unreadable jobs: at most ${cloud.peaks.reads} reads a minute\n`);
    expect(cloud.peaks.reads).toBeGreaterThan(8_000);
  });
});
