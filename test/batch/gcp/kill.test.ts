import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { JobStatus } from "#pkg/job/index.ts";
import type { Misbehaviour } from "#test/clouds/gcp/misbehaviour.ts";
import { onSpanner, SQLITE, type StoreBackend } from "#test/e2e/backends.ts";
import { describeOnSpanner } from "#test/support/spanner-emulator.ts";
import { type KillWorld, newJobId, openKillWorld, print } from "./kill-world.ts";

/** A call is given up when the trust ends, so there must be time to catch it stalled. A restart waits for no lease. */
const ENV = { WORKER_LEASE_TTL_SECONDS: "30" };

/**
 * How far a create had come when the worker that sent it was killed. What lies between a reply that was read and its commit,
 * and before the request leaves, is held in `kill-commits.test.ts`.
 */
const CREATE_POINTS: Readonly<Record<string, Omit<Misbehaviour, "method" | "job">>> = {
  "the request came, and was lost": { stall: "drop" },
  "the request came, and was done once nobody waited; reply lost": { stall: "do", silent: true },
  "the request came, and was done once nobody waited; reply not read": { stall: "do" },
  "done once nobody waited; reply an error": {
    stall: "do",
    after: { status: "UNAVAILABLE", words: "lost" },
  },
  "done while it waited; reply lost": { silent: true },
  "done while it waited; reply an error": { after: { status: "UNAVAILABLE", words: "lost" } },
  "answered and committed": {},
};

const CANCEL_POINTS: Readonly<Record<string, Omit<Misbehaviour, "job">>> = {
  "a create in doubt, which was lost": { method: "CreateJob", stall: "drop" },
  "a create in doubt, which was done; reply lost": { method: "CreateJob", stall: "do", silent: true },
  "a create in doubt, which was done; reply not read": { method: "CreateJob", stall: "do" },
  "the cancel came, and was lost": { method: "CancelJob", stall: "drop" },
  "the cancel came, and was done once nobody waited; reply lost": {
    method: "CancelJob",
    stall: "do",
    silent: true,
  },
  "the cancel came, and was done once nobody waited; reply not read": { method: "CancelJob", stall: "do" },
};

function describeKills(over: string, store: () => StoreBackend): void {
  let world: KillWorld;
  beforeAll(async () => {
    world = await openKillWorld(store(), { workers: 2, env: ENV });
  });
  afterAll(() => world?.close());

  const lags = [0, 10_000];
  it.each(lags)(
    "killed with creates on their way, it leaves one batch job for each attempt; lists lag %i ms",
    async (lagMs) => {
      await world.cloud.act("lagLists", lagMs);
      const jobs = Object.entries(CREATE_POINTS).map(([point, fault]) => ({ point, fault, id: newJobId() }));
      for (const { fault, id } of jobs) await world.befall(id, { method: "CreateJob", ...fault });
      const answers = await Promise.all(jobs.map(({ id }) => world.submit(id, 1)));
      expect(new Set(answers)).toEqual(new Set([200]));
      await world.killWhileStalled(jobs.filter(({ fault }) => fault.stall !== undefined).length);
      await world.cluster.startWorker("worker-1");

      const table: string[] = [];
      for (const { point, id } of jobs) table.push(await world.countOnce(id, point));
      print(`killed with creates on their way, over ${over}, lists lagging ${lagMs} ms`, table);
    },
  );

  it.each(lags)("killed under a cancel, it leaves nothing that runs; lists lag %i ms", async (lagMs) => {
    await world.cloud.act("lagLists", lagMs);
    const jobs = Object.entries(CANCEL_POINTS).map(([point, fault]) => ({ point, fault, id: newJobId() }));
    const running = jobs.filter(({ fault }) => fault.method === "CancelJob");
    await Promise.all(running.map(({ id }) => world.submit(id, 300)));
    for (const { id } of running) await world.untilStatus(id, JobStatus.Running);
    for (const { fault, id } of jobs) await world.befall(id, fault);
    // All of it within the trust of the creates, which are given up and tried again after that.
    const creating = jobs.filter(({ fault }) => fault.method === "CreateJob");
    await Promise.all(creating.map(({ id }) => world.submit(id, 300)));
    await world.untilStalled(creating.length);
    expect(new Set(await Promise.all(jobs.map(({ id }) => world.cancel(id))))).toEqual(new Set([200]));
    await world.killWhileStalled(jobs.length);
    await world.cluster.startWorker("worker-1");

    const table: string[] = [];
    for (const { point, id } of jobs) table.push(await world.countNone(id, point));
    print(`killed under a cancel, over ${over}, lists lagging ${lagMs} ms`, table);
  });
}

describe("a worker over sqlite", () => describeKills("sqlite", () => SQLITE));
describeOnSpanner("a worker over spanner", (emulator) =>
  describeKills("spanner", () => onSpanner(emulator())),
);
