import { afterEach, beforeEach, expect, it } from "vitest";
import { batchJobIdOf } from "#pkg/job/index.ts";
import { type OwnerUnderTest, startOwner } from "#test/dispatch/owner.ts";
import { eventually } from "#test/support/node-process.ts";
import { openWorld, type World } from "./harness.ts";

// As Batch's page on troubleshooting has it.
const QUOTA =
  "Quota checking process decides to delay scheduling for the job j-1 due to inadequate quotas [Quota: CPUS, limit: 8, usage: 8, wanted: 2.].";

let world: World;
let owner: OwnerUnderTest;
beforeEach(async () => {
  world = await openWorld();
  await world.provider.start();
  owner = await startOwner({ providerBetween: () => world.provider });
});
afterEach(async () => {
  await owner.stop();
  await world.close();
});

/** Resolves after so many further looks. */
async function untilLooks(more: number): Promise<void> {
  const looks = () => world.cloud.calls.filter(({ method }) => method === "ListJobs").length;
  const before = looks();
  await eventually(looks, (count) => count >= before + more);
}

it("a job that waits in the cloud for quota says so, once, in the cloud's words, until it runs", async () => {
  const { target } = world.provider;
  const { deploymentId } = await owner.store.meta();
  const row = await owner.insert("sleep 300", { target });
  const { jobId } = row;
  const batchJobId = batchJobIdOf(deploymentId, jobId, 1);
  world.cloud.hold(batchJobId);
  await owner.dispatcher.begin(row, new AbortController().signal);
  // Told only after a look that found it queued for no reason.
  await untilLooks(1);
  world.cloud.delay(batchJobId, QUOTA);

  const waiting = await owner.until(jobId, (job) => job?.waitReason !== undefined);
  expect(waiting).toMatchObject({
    status: "RUNNING",
    waitReason: "QUOTA_EXCEEDED",
    providerState: "QUEUED",
    startedAtMs: undefined,
  });
  await untilLooks(2);
  expect((await owner.job(jobId))?.version).toBe(waiting?.version);

  world.cloud.release(batchJobId);
  const running = await owner.until(jobId, (job) => job?.startedAtMs !== undefined);
  expect(running).toMatchObject({ status: "RUNNING", waitReason: undefined, providerState: "RUNNING" });
  const events = await owner.store.listEvents({ tenantId: row.tenantId, jobId });
  expect(events.filter(({ type }) => type === "WAITING").map(({ reason }) => reason)).toEqual([
    `QUOTA_EXCEEDED: ${QUOTA}`,
  ]);
});
