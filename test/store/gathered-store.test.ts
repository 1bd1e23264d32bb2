import { describe, expect, it } from "vitest";
import { InvariantError, UnavailableError } from "#pkg/errors/index.ts";
import { createWorld, describeJobStore } from "#pkg/store/conformance/index.ts";
import { createGatheredStore, type JobStore, type JobUpdate, type NewJob } from "#pkg/store/index.ts";
import { createFolder, openStore, storeAt } from "./open.ts";

describeJobStore("sqlite, gathered", async () => {
  const folder = await createFolder();
  const path = folder.file("jennah.db");
  const [store, peer] = [createGatheredStore(storeAt(path)), createGatheredStore(storeAt(path))];
  await Promise.all([store.start(), peer.start()]);
  return {
    store,
    peer,
    async close() {
      await Promise.all([store.stop(), peer.stop()]);
      await folder[Symbol.asyncDispose]();
    },
  };
});

/** A real store that notes the groups that reach it, and whose inserts can be made to go wrong around the commit. */
async function openNoted(maxGroup = 200) {
  const opened = await openStore();
  const inserts: NewJob[][] = [];
  const updates: JobUpdate[][] = [];
  const faults = { beforeCommit: [] as Error[], afterCommit: [] as Error[] };
  const noted: JobStore = {
    ...opened.store,
    capabilities: { maxGroup },
    async insertJobs(jobs) {
      inserts.push([...jobs]);
      const before = faults.beforeCommit.shift();
      if (before !== undefined) throw before;
      const results = await opened.store.insertJobs(jobs);
      const after = faults.afterCommit.shift();
      if (after !== undefined) throw after;
      return results;
    },
    async updateJobs(group) {
      updates.push([...group]);
      return await opened.store.updateJobs(group);
    },
  };
  const store = createGatheredStore(noted);
  const stores = { store, peer: store, close: async () => {} };
  const world = createWorld(stores, async () => stores);
  return { store, world, inserts, updates, faults, [Symbol.asyncDispose]: opened[Symbol.asyncDispose] };
}

const LOST = new UnavailableError("STORE_UNAVAILABLE", "the answer was lost");
const sizes = (groups: readonly (readonly unknown[])[]) => groups.map((group) => group.length);

describe("a gathered store", () => {
  it("writes at once when it is idle, and gathers what comes while a commit is under way", async () => {
    await using noted = await openNoted();
    const all = Array.from({ length: 64 }, () => noted.store.insertJobs([noted.world.newJob()]));
    expect(sizes(noted.inserts)).toEqual([1]);
    const results = await Promise.all(all);
    expect(results.every(([result]) => result?.kind === "inserted")).toBe(true);
    expect(sizes(noted.inserts)).toEqual([1, 63]);
  });

  it("splits groups by what the store takes, and answers each caller in its own order", async () => {
    await using noted = await openNoted(10);
    const jobs = Array.from({ length: 25 }, () => noted.world.newJob()).toReversed();
    const results = await noted.store.insertJobs(jobs);
    expect(sizes(noted.inserts)).toEqual([10, 10, 5]);
    expect(results.map((result) => result.kind === "inserted" && result.job.jobId)).toEqual(
      jobs.map((job) => job.jobId),
    );
  });

  it("sorts groups by tenant, then key or id", async () => {
    await using noted = await openNoted();
    const jobs = ["b", "a", "c", "a"].map((tenantId, index) =>
      noted.world.newJob({ tenantId, idempotencyKey: `${9 - index}` }),
    );
    await noted.store.insertJobs(jobs);
    const order = noted.inserts[0]?.map((job) => `${job.tenantId}${job.idempotencyKey}`);
    expect(order).toEqual(["a6", "a8", "b9", "c7"]);
  });

  it("never puts two updates of one job into a group", async () => {
    await using noted = await openNoted();
    const jobs = [await noted.world.insert(), await noted.world.insert()];
    const callers = [...jobs, ...jobs, ...jobs].map((job) =>
      noted.store.updateJobs([noted.world.update(job, { providerState: "x" })]),
    );
    const kinds = (await Promise.all(callers)).flat().map((result) => result.kind);
    expect(kinds).toEqual(["applied", "applied", "stale", "stale", "stale", "stale"]);
    for (const group of noted.updates) {
      expect(new Set(group.map((update) => update.jobId)).size).toBe(group.length);
    }
  });

  it("a defect of one caller is that caller's alone", async () => {
    await using noted = await openNoted();
    const good = Array.from({ length: 5 }, () => noted.world.newJob());
    // The column takes whole numbers alone.
    const bad = { ...noted.world.newJob(), level: 1.5 };
    const first = noted.store.insertJobs([noted.world.newJob()]);
    const outcomes = await Promise.allSettled([...good, bad].map((job) => noted.store.insertJobs([job])));
    await first;
    expect(outcomes.map((outcome) => outcome.status)).toEqual([...good.map(() => "fulfilled"), "rejected"]);
    expect(await noted.store.getJobs(good)).toHaveLength(5);

    const job = await noted.world.insert({ status: "COMPLETED" });
    const other = await noted.world.insert();
    const [forbidden, allowed] = await Promise.allSettled([
      noted.store.updateJobs([noted.world.update(job, { status: "RUNNING" })]),
      noted.store.updateJobs([noted.world.update(other, { status: "RUNNING" })]),
    ]);
    expect(forbidden).toMatchObject({ status: "rejected", reason: expect.any(InvariantError) });
    expect(allowed).toMatchObject({ status: "fulfilled", value: [{ kind: "applied" }] });
  });

  it("inserts whose commit was lost are asked for again, and answer each caller's own job", async () => {
    await using noted = await openNoted();
    noted.faults.afterCommit.push(LOST);
    const jobs = Array.from({ length: 8 }, () => noted.world.newJob());
    const results = await noted.store.insertJobs(jobs);
    expect(results.map((result) => result.kind)).toEqual(jobs.map(() => "repeated"));
    expect(results.map((result) => result.kind === "repeated" && result.job.jobId)).toEqual(
      jobs.map((job) => job.jobId),
    );
    for (const job of jobs) expect(await noted.store.listEvents(job)).toHaveLength(1);
  });

  it("a store that is away is asked once more, not once for each member", async () => {
    await using noted = await openNoted();
    noted.faults.beforeCommit.push(LOST, LOST);
    const outcomes = await Promise.allSettled([
      noted.store.insertJobs(Array.from({ length: 50 }, () => noted.world.newJob())),
    ]);
    expect(outcomes[0]).toMatchObject({ status: "rejected", reason: LOST });
    expect(sizes(noted.inserts)).toEqual([50, 1]);
    expect((await noted.store.insertJobs([noted.world.newJob()]))[0]?.kind).toBe("inserted");
  });
});
