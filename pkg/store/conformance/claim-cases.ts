import { expect } from "vitest";
import type { Job } from "#pkg/job/index.ts";
import type { ClaimRequest } from "#pkg/store/jobs.ts";
import { type Cases, START_MS, type World } from "./world.ts";

const by = { actor: "elsewhere", atMs: START_MS + 77 };

/** Batches until one is empty. */
async function claimAll({ store, claim }: World, parts: Partial<ClaimRequest>): Promise<Job[]> {
  const taken: Job[] = [];
  for (;;) {
    const batch = await store.claimJobs(claim(parts));
    if (batch.length === 0) return taken;
    taken.push(...batch);
  }
}

const idsOf = (jobs: readonly Job[]) => jobs.map((job) => job.jobId).sort();
const deadOf = (world: World, afterTerm: number, throughTerm: number) => ({
  dead: [{ workerId: world.owner.workerId, afterTerm, throughTerm }],
});

export const claimCases: Cases = {
  "a claim changes the owner, raises the version and appends CLAIMED": async (world) => {
    const job = await world.insert({ status: "RUNNING" });
    const request = world.claim(deadOf(world, 0, 1));
    const [taken] = await world.store.claimJobs(request);
    expect(taken).toEqual({ ...job, owner: request.claimer, version: 2, updatedAtMs: request.nowMs });
    expect(await world.get(job)).toEqual(taken);
    expect((await world.store.listEvents(job)).at(-1)).toMatchObject({
      seq: 2,
      type: "CLAIMED",
      from: "RUNNING",
      to: "RUNNING",
      actor: request.claimer.workerId,
      term: request.claimer.term,
      atMs: request.nowMs,
    });
  },

  "the old owner's writes are stale after a claim": async (world) => {
    const job = await world.insert();
    const late = world.update(job, { status: "RUNNING" });
    await world.peer.claimJobs(world.claim(deadOf(world, 0, 1)));
    expect(await world.store.updateJobs([late])).toEqual([{ kind: "stale" }]);
    const again = { ...late, version: 2 };
    expect(await world.store.updateJobs([again])).toEqual([{ kind: "stale" }]);
  },

  "(a) only active jobs of the terms that are named are taken, by value": async (world) => {
    const { owner, insert } = world;
    const [second, third] = [
      await insert({ owner: { ...owner, term: 2 } }),
      await insert({ owner: { ...owner, term: 3 }, status: "RUNNING" }),
    ];
    await insert({ owner: { ...owner, term: 1 } });
    await insert({ owner: { ...owner, term: 4 } });
    await insert({ owner: { workerId: world.worker("alive"), term: 2 } });
    await insert({ owner: undefined });
    await insert({ owner: { ...owner, term: 2 }, status: "COMPLETED" });
    expect(idsOf(await claimAll(world, deadOf(world, 1, 3)))).toEqual(idsOf([second, third]));
  },

  "nothing is taken where no term is named": async (world) => {
    await world.insert();
    expect(await claimAll(world, {})).toEqual([]);
  },

  "terms of several workers are named in one claim": async (world) => {
    const [a, b] = [world.worker("a"), world.worker("b")];
    const jobs = [
      await world.insert({ owner: { workerId: a, term: 5 } }),
      await world.insert({ owner: { workerId: b, term: 1 } }),
    ];
    await world.insert({ owner: { workerId: b, term: 2 } });
    const dead = [
      { workerId: a, afterTerm: 4, throughTerm: 9 },
      { workerId: b, afterTerm: 0, throughTerm: 1 },
    ];
    expect(idsOf(await claimAll(world, { dead }))).toEqual(idsOf(jobs));
  },

  "(b) requests that are not done are taken from emptied terms too, on finished jobs as well": async (
    world,
  ) => {
    const [active, finished, done, later] = [
      await world.insert(),
      await world.insert({ status: "FAILED" }),
      await world.insert({ status: "FAILED", cancelRequestedAtMs: START_MS }),
      await world.insert({ owner: { ...world.owner, term: 9 } }),
    ];
    await world.insert();
    for (const job of [active, later]) await world.store.leaveRequest(job, "cancel", by);
    await world.store.leaveRequest(finished, "delete", by);
    const taken = await claimAll(world, deadOf(world, 8, 8));
    expect(idsOf(taken)).toEqual(idsOf([active, finished]));
    expect(idsOf(taken)).not.toContain(done.jobId);
  },

  "(c) new work is taken only when asked for, and only when it is due": async (world) => {
    const nowMs = START_MS + 10_000;
    const jobs = [
      await world.insert({ owner: undefined }),
      await world.insert({ owner: undefined, dueAtMs: nowMs }),
    ];
    await world.insert({ owner: undefined, dueAtMs: nowMs + 1 });
    expect(await claimAll(world, { nowMs })).toEqual([]);
    expect(idsOf(await claimAll(world, { nowMs, includeUnowned: true }))).toEqual(idsOf(jobs));
  },

  "(c) a finished job that nobody owns is no new work": async (world) => {
    for (const status of ["COMPLETED", "FAILED", "CANCELLED"] as const) {
      for (const target of [world.target, `${world.target}/nowhere`]) {
        await world.insert({ owner: undefined, status, target });
        await world.insert({ owner: undefined, status, target, cancelRequestedAtMs: START_MS });
      }
    }
    expect(await claimAll(world, { includeUnowned: true })).toEqual([]);
  },

  "(c) new work that carries a request is taken even so, due or not": async (world) => {
    const job = await world.insert({ owner: undefined, dueAtMs: START_MS + 1_000_000 });
    await world.store.leaveRequest(job, "cancel", by);
    expect(idsOf(await claimAll(world, {}))).toEqual([job.jobId]);
  },

  "(d) what nobody alive serves is taken to be cancelled, as long as nothing of it has begun": async (
    world,
  ) => {
    const [nowhere, elsewhere] = [`${world.target}/nowhere`, `${world.target}/elsewhere`];
    const job = await world.insert({ owner: undefined, target: nowhere });
    const others = [
      await world.insert({ owner: undefined, target: elsewhere }),
      await world.insert({ owner: undefined, target: nowhere, createPhase: "BEGUN" }),
      await world.insert({ owner: undefined, target: nowhere, level: 2 }),
    ];
    await world.insert({ owner: undefined, target: nowhere });
    for (const each of [job, ...others]) await world.store.leaveRequest(each, "cancel", by);
    expect(idsOf(await claimAll(world, { includeUnowned: true }))).toEqual([job.jobId]);
  },

  "new work is taken by priority, then age, also across targets": async (world) => {
    const other = `${world.target}/other`;
    const order = [
      await world.insert({ owner: undefined, priority: 9, createdAtMs: START_MS + 4, target: other }),
      await world.insert({ owner: undefined, priority: 9, createdAtMs: START_MS + 5 }),
      await world.insert({ owner: undefined, priority: 5, createdAtMs: START_MS + 1 }),
      await world.insert({ owner: undefined, priority: 5, createdAtMs: START_MS + 2, target: other }),
      await world.insert({ owner: undefined, priority: 0, createdAtMs: START_MS }),
    ];
    const taken: string[] = [];
    for (let batch = 0; batch < 3; batch++) {
      const jobs = await world.store.claimJobs(
        world.claim({ includeUnowned: true, limit: 2, targets: [world.target, other] }),
      );
      // The order inside a batch is the store's own.
      taken.push(...idsOf(jobs));
    }
    const ids = order.map((job) => job.jobId);
    expect(taken).toEqual([...ids.slice(0, 2).sort(), ...ids.slice(2, 4).sort(), ...ids.slice(4)]);
  },

  "no more than the limit is taken, and all of it in the end": async (world) => {
    const jobs: Job[] = [];
    for (let index = 0; index < 7; index++) {
      jobs.push(await world.insert(index % 2 === 0 ? {} : { owner: undefined }));
    }
    const parts = { ...deadOf(world, 0, 1), includeUnowned: true, limit: 3 };
    const first = await world.store.claimJobs(world.claim(parts));
    expect(first).toHaveLength(3);
    expect(idsOf([...first, ...(await claimAll(world, parts))])).toEqual(idsOf(jobs));
  },

  "jobs of other targets and higher levels are never taken": async (world) => {
    for (const owner of [world.owner, undefined]) {
      for (const parts of [{ target: `${world.target}/other` }, { level: 2 }]) {
        const job = await world.insert({ owner, ...parts });
        await world.store.leaveRequest(job, "cancel", by);
        await world.insert({ owner, ...parts });
      }
    }
    const parts = { ...deadOf(world, 0, 1), includeUnowned: true };
    expect(await claimAll(world, parts)).toEqual([]);
    expect(await claimAll(world, { ...parts, targets: [] })).toEqual([]);
  },

  "two who claim at once never take the same job": async (world) => {
    const jobs: Job[] = [];
    for (let index = 0; index < 60; index++) {
      jobs.push(await world.insert(index % 2 === 0 ? {} : { owner: undefined }));
    }
    const parts = { ...deadOf(world, 0, 1), includeUnowned: true, limit: 4 };
    const taken = await Promise.all([
      claimAll(world, { ...parts, claimer: { workerId: "a", term: 1 } }),
      claimAll({ ...world, store: world.peer }, { ...parts, claimer: { workerId: "b", term: 1 } }),
    ]);
    expect(idsOf(taken.flat())).toEqual(idsOf(jobs));
  },

  "an insert that commits after its term was expired and emptied is found by looking from the first term":
    async (world) => {
      const workerId = world.worker("late");
      await world.store.beginTerm(world.begin(workerId, "i1"));
      const owner = { workerId, term: 1 };
      expect(await world.peer.expireTerm(owner, 1)).toBe(true);
      expect(await world.peer.hasJobsOf({ workerId, afterTerm: 0, throughTerm: 1 })).toBe(false);
      await world.peer.markEmptied(workerId, 1);
      const job = await world.insert({ owner });
      expect(await claimAll(world, { dead: [{ workerId, afterTerm: 1, throughTerm: 1 }] })).toEqual([]);
      expect(idsOf(await claimAll(world, { dead: [{ workerId, afterTerm: 0, throughTerm: 1 }] }))).toEqual([
        job.jobId,
      ]);
    },

  "whether a term has jobs left counts active ones of whatever target and level": async (world) => {
    const { workerId } = world.owner;
    const has = (afterTerm: number, throughTerm: number) =>
      world.peer.hasJobsOf({ workerId, afterTerm, throughTerm });
    await world.insert({ status: "COMPLETED", owner: { workerId, term: 1 } });
    expect(await has(0, 9)).toBe(false);
    const job = await world.insert({ owner: { workerId, term: 3 }, target: "elsewhere", level: 99 });
    expect([await has(0, 2), await has(0, 3), await has(2, 3), await has(3, 9)]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    await world.apply(job, { status: "CANCELLED" });
    expect(await has(0, 9)).toBe(false);
  },
};
