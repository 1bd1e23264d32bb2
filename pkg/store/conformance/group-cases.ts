import { expect } from "vitest";
import { InvariantError } from "#pkg/errors/index.ts";
import type { Cases } from "./world.ts";

export const groupCases: Cases = {
  "one stale update of a group keeps no other back": async (world) => {
    const jobs = [await world.insert(), await world.insert(), await world.insert()];
    const updates = jobs.map((job, index) =>
      world.update(index === 1 ? { ...job, version: 9 } : job, { status: "RUNNING" }, "ACCEPTED"),
    );
    const results = await world.store.updateJobs(updates);
    expect(results.map((result) => result.kind)).toEqual(["applied", "stale", "applied"]);
    const statuses = await Promise.all(jobs.map(async (job) => (await world.get(job))?.status));
    expect(statuses).toEqual(["RUNNING", "PENDING", "RUNNING"]);
  },

  "a group that names a job twice is refused": async (world) => {
    const job = await world.insert();
    const update = world.update(job, { providerState: "x" });
    await expect(world.store.updateJobs([update, update])).rejects.toThrow(InvariantError);
    expect(await world.get(job)).toEqual(job);
  },

  "groups of the largest size are taken": async (world) => {
    const size = Math.min(world.store.capabilities.maxGroup, 1000);
    const results = await world.store.insertJobs(Array.from({ length: size }, () => world.newJob()));
    const jobs = results.flatMap((result) => (result.kind === "inserted" ? [result.job] : []));
    expect(jobs).toHaveLength(size);
    const written = await world.store.updateJobs(jobs.map((job) => world.update(job, { status: "RUNNING" })));
    expect(written.every((result) => result.kind === "applied")).toBe(true);
  },

  "an empty group is answered": async ({ store }) => {
    expect(await store.insertJobs([])).toEqual([]);
    expect(await store.updateJobs([])).toEqual([]);
    expect(await store.getJobs([])).toEqual([]);
    expect(await store.lookUpJobs([])).toEqual([]);
  },

  "groups in opposite orders from two handles both come to an end, and every job is written once": async (
    world,
  ) => {
    const size = Math.min(world.store.capabilities.maxGroup, 50);
    const inserted = await world.store.insertJobs(Array.from({ length: size }, () => world.newJob()));
    let jobs = inserted.flatMap((result) => (result.kind === "inserted" ? [result.job] : []));
    for (let round = 0; round < 5; round++) {
      const updates = jobs.map((job) => world.update(job, { providerState: `round ${round}` }));
      const [one, other] = await Promise.all([
        world.store.updateJobs(updates),
        world.peer.updateJobs(updates.toReversed()),
      ]);
      const kinds = other.toReversed().map((result, index) => [result.kind, one[index]?.kind].sort().join());
      expect(new Set(kinds)).toEqual(new Set(["applied,stale"]));
      jobs = [...(await world.store.getJobs(jobs))];
      expect(jobs).toHaveLength(size);
    }
  },

  "inserts in opposite orders from two handles both come to an end": async (world) => {
    const size = Math.min(world.store.capabilities.maxGroup, 50);
    const jobs = Array.from({ length: size }, (_, index) => world.newJob({ idempotencyKey: `key ${index}` }));
    const results = await Promise.all([
      world.store.insertJobs(jobs),
      world.peer.insertJobs(jobs.toReversed()),
    ]);
    const kinds = results.flat().map((result) => result.kind);
    expect(kinds.filter((kind) => kind === "inserted")).toHaveLength(size);
    expect(kinds.filter((kind) => kind === "repeated")).toHaveLength(size);
  },
};
