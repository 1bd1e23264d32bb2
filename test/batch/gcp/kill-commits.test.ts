import { afterAll, beforeAll, expect, it } from "vitest";
import { batchJobIdOf, CreatePhase, JobStatus } from "#pkg/job/index.ts";
import { onSpanner } from "#test/e2e/backends.ts";
import { type FaultProxy, startFaultProxy } from "#test/support/fault-proxy.ts";
import { describeOnSpanner } from "#test/support/spanner-emulator.ts";
import { type KillWorld, newJobId, openKillWorld, print } from "./kill-world.ts";

/** No renewal comes between the commits that are broken. A restart waits for no lease. */
const ENV = { WORKER_LEASE_TTL_SECONDS: "600" };
const UNAVAILABLE = 14;
/** More than anybody tries. */
const ALL = 1_000;

/** A worker that is killed with a commit on its way to Spanner, before or after a call to GCP Batch. */
describeOnSpanner("a worker killed at its commits", (emulator) => {
  let world: KillWorld;
  let proxy: FaultProxy;
  const proxies: FaultProxy[] = [];
  beforeAll(async () => {
    world = await openKillWorld(onSpanner(emulator()), { workers: 1, env: ENV });
  });
  afterAll(async () => {
    await world?.close();
    for (const each of proxies) await each.stop();
  });

  /** Starts the worker again, on a way to Spanner on which nothing goes wrong yet. */
  async function restart(): Promise<void> {
    await world.cluster.worker("worker-1").kill();
    proxy = await startFaultProxy(emulator().host);
    proxies.push(proxy);
    await world.cluster.startWorker("worker-1", { SPANNER_EMULATOR_HOST: proxy.host });
  }

  async function madeOf(jobId: string): Promise<number> {
    const { deploymentId } = await world.cluster.store.meta();
    return (await world.cloud.state()).made[batchJobIdOf(deploymentId, jobId, 1)] ?? 0;
  }

  /** Lets a call to the cloud be answered and, when that was read, befalls the commit that follows. */
  async function answerThen(befall: () => void): Promise<void> {
    await world.untilStalled(1);
    befall();
    const commit = proxy.arrival("Commit");
    await world.cloud.act("letGo");
    await commit;
  }

  /** A call whose caller is killed before the answer. */
  function leave(call: Promise<unknown>): void {
    call.catch(() => undefined);
  }

  const createPoints: Readonly<Record<string, (jobId: string) => Promise<void>>> = {
    async "the intent was committed, and nothing was sent"(jobId) {
      proxy.befall("Commit", { kind: "silence" }, ALL);
      leave(world.submit(jobId, 1));
      await world.untilRow(jobId, () => true);
      expect(await madeOf(jobId)).toBe(0);
    },
    async "the reply was read, and its commit never came"(jobId) {
      await world.befall(jobId, { method: "CreateJob", stall: "do" });
      await world.submit(jobId, 1);
      await answerThen(() => proxy.befall("Commit", { kind: "refuse", code: UNAVAILABLE }, ALL));
      expect(await madeOf(jobId)).toBe(1);
      expect(await world.rowOf(jobId)).toMatchObject({ status: JobStatus.Pending });
    },
    async "the reply was committed, and the commit never answered"(jobId) {
      await world.befall(jobId, { method: "CreateJob", stall: "do" });
      await world.submit(jobId, 1);
      await answerThen(() => proxy.befall("Commit", { kind: "silence" }, ALL));
      await world.untilRow(jobId, (row) => row.createPhase === CreatePhase.Confirmed);
    },
  };

  const cancelPoints: Readonly<Record<string, (jobId: string) => Promise<void>>> = {
    async "the request was committed, and the commit never answered"(jobId) {
      proxy.befall("Commit", { kind: "silence" }, ALL);
      leave(world.cancel(jobId));
      await world.untilRow(jobId, (row) => row.cancelRequestedAtMs !== undefined);
    },
    async "the cancel was done, and the commit of that never came"(jobId) {
      await world.befall(jobId, { method: "CancelJob", stall: "do" });
      await world.cancel(jobId);
      await answerThen(() => proxy.befall("Commit", { kind: "refuse", code: UNAVAILABLE }, ALL));
      expect(await world.rowOf(jobId)).toMatchObject({ status: JobStatus.Running });
    },
    async "the cancel was done and committed, and the commit never answered"(jobId) {
      await world.befall(jobId, { method: "CancelJob", stall: "do" });
      await world.cancel(jobId);
      await answerThen(() => proxy.befall("Commit", { kind: "silence" }, ALL));
      await world.untilRow(jobId, (row) => row.status === JobStatus.Cancelled);
    },
  };

  it.each([0, 10_000])("leaves one batch job for each attempt; lists lag %i ms", async (lagMs) => {
    await world.cloud.act("lagLists", lagMs);
    const table: string[] = [];
    await restart();
    for (const [point, come] of Object.entries(createPoints)) {
      const jobId = newJobId();
      await come(jobId);
      await restart();
      table.push(await world.countOnce(jobId, point));
    }
    print(`killed at a commit, over spanner, lists lagging ${lagMs} ms`, table);
  });

  // With lists that lag alone: each of these costs a start of the worker, and without a lag nothing is harder.
  it("leaves nothing that runs after a cancel", async () => {
    await world.cloud.act("lagLists", 10_000);
    const table: string[] = [];
    for (const [point, come] of Object.entries(cancelPoints)) {
      const jobId = newJobId();
      await world.submit(jobId, 300);
      await world.untilStatus(jobId, JobStatus.Running);
      await come(jobId);
      await restart();
      table.push(await world.countNone(jobId, point));
    }
    print("killed at a commit under a cancel, over spanner, lists lagging 10000 ms", table);
  });
});
