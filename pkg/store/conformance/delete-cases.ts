import { expect } from "vitest";
import type { Job } from "#pkg/job/index.ts";
import type { Deletion } from "#pkg/store/jobs.ts";
import { type Cases, START_MS, type World } from "./world.ts";

const by = { actor: "elsewhere", atMs: START_MS + 77 };
const TOMBSTONE_UNTIL_MS = START_MS + 7_000;
const KEY_UNTIL_MS = START_MS + 1_000;

function deletionOf(world: World, job: Job): Deletion {
  return {
    tenantId: job.tenantId,
    jobId: job.jobId,
    version: job.version,
    owner: job.owner ?? world.owner,
    atMs: START_MS + 100,
    tombstoneUntilMs: TOMBSTONE_UNTIL_MS,
    keyUntilMs: KEY_UNTIL_MS,
  };
}

/** A finished job whose delete was requested. */
async function condemned(world: World, parts: Parameters<World["insert"]>[0] = {}): Promise<Job> {
  const job = await world.insert({ status: "COMPLETED", ...parts });
  const left = await world.store.leaveRequest(job, "delete", by);
  if (left.kind !== "left") throw new Error(`refused: ${JSON.stringify(left)}`);
  return left.job;
}

/** Forgets everything whose time is over, however many it is. */
async function purgeAll({ store }: World, nowMs: number): Promise<number> {
  let gone = 0;
  for (;;) {
    const some = await store.purge(nowMs, 2);
    expect(some).toBeLessThanOrEqual(2);
    if (some === 0) return gone;
    gone += some;
  }
}

export const deleteCases: Cases = {
  "a deletion removes the row and its events, and leaves a tombstone": async (world) => {
    const job = await condemned(world);
    expect(await world.store.hasTombstone(job)).toBe(false);
    expect(await world.store.deleteJob(deletionOf(world, job))).toBe("applied");
    expect(await world.peer.getJobs([job])).toEqual([]);
    expect(await world.store.listEvents(job)).toEqual([]);
    expect(await world.peer.hasTombstone(job)).toBe(true);
    expect(await world.store.hasTombstone({ ...job, tenantId: "another" })).toBe(false);
    expect(await world.store.deleteJob(deletionOf(world, job))).toBe("stale");
  },

  "a deletion leaves what the job's key was used for": async (world) => {
    const job = await condemned(world, { idempotencyKey: "key" });
    await world.store.deleteJob(deletionOf(world, job));
    const used = { jobId: job.jobId, requestHash: job.requestHash };
    expect(await world.store.findKey(job.tenantId, "key")).toEqual(used);
  },

  "a deletion that names another version, owner or term, or was not requested, changes nothing": async (
    world,
  ) => {
    const job = await condemned(world);
    const right = deletionOf(world, job);
    const unasked = await world.insert({ status: "COMPLETED" });
    const wrong: readonly Deletion[] = [
      { ...right, version: 1 },
      { ...right, owner: { ...right.owner, term: 9 } },
      { ...right, owner: { ...right.owner, workerId: "x" } },
      deletionOf(world, unasked),
    ];
    for (const deletion of wrong) expect(await world.store.deleteJob(deletion)).toBe("stale");
    expect(await world.get(job)).toEqual(job);
    expect(await world.store.hasTombstone(job)).toBe(false);
  },

  "an active job is not deleted, whatever its row says of a request": async (world) => {
    for (const status of ["PENDING", "RUNNING"] as const) {
      const job = await world.insert({ status, deleteRequestedAtMs: by.atMs });
      expect(await world.store.deleteJob(deletionOf(world, job))).toBe("stale");
      expect(await world.get(job)).toEqual(job);
      expect(await world.store.hasTombstone(job)).toBe(false);
    }
  },

  "a job whose delete was requested is still read by its owner, and by id": async (world) => {
    const job = await condemned(world);
    expect(await world.get(job)).toEqual(job);
    expect(await world.store.lookUpJobs([job.jobId])).toEqual([{ kind: "present", job }]);
  },

  "the id and the key of a deleted job are a conflict, from the request on": async (world) => {
    const { store } = world;
    const DELETED = [{ kind: "conflict", reason: "DELETED" }];
    const job = await condemned(world, { idempotencyKey: "k" });
    const sameId = { ...world.newJob(), jobId: job.jobId };
    const sameKey = world.newJob({ idempotencyKey: "k" });
    expect(await store.insertJobs([sameId])).toEqual(DELETED);
    expect(await store.insertJobs([sameKey])).toEqual(DELETED);
    await store.deleteJob(deletionOf(world, job));
    expect(await store.insertJobs([sameId])).toEqual(DELETED);
    expect(await store.insertJobs([sameKey])).toEqual(DELETED);
    expect(await world.get(sameKey)).toBeUndefined();
  },

  "tombstones and keys are forgotten when their time is over, in bounded steps, and not before": async (
    world,
  ) => {
    await purgeAll(world, TOMBSTONE_UNTIL_MS);
    const keys = ["a", "b", "c"];
    const jobs: Job[] = [];
    for (const idempotencyKey of keys) {
      const job = await condemned(world, { idempotencyKey });
      await world.store.deleteJob(deletionOf(world, job));
      jobs.push(job);
    }
    const again = async (key: string) => {
      const [result] = await world.store.insertJobs([world.newJob({ idempotencyKey: key })]);
      return result?.kind;
    };
    expect(await purgeAll(world, KEY_UNTIL_MS - 1)).toBe(0);
    expect(await again("a")).toBe("conflict");
    expect(await purgeAll(world, KEY_UNTIL_MS)).toBe(3);
    expect(await again("a")).toBe("inserted");
    for (const job of jobs) expect(await world.store.hasTombstone(job)).toBe(true);
    expect(await purgeAll(world, TOMBSTONE_UNTIL_MS)).toBe(3);
    for (const job of jobs) expect(await world.store.hasTombstone(job)).toBe(false);
  },

  "the key of a job that is there is never forgotten": async (world) => {
    const job = await world.insert({ idempotencyKey: "k" });
    await purgeAll(world, START_MS * 2);
    expect(await world.store.insertJobs([world.newJob({ idempotencyKey: "k" })])).toEqual([
      { kind: "repeated", job },
    ]);
  },

  "a lookup by id alone tells present, deleted and unknown apart, in order": async (world) => {
    const present = await world.insert();
    const deleted = await condemned(world);
    await world.store.deleteJob(deletionOf(world, deleted));
    const ids = [deleted.jobId, world.newJob().jobId, present.jobId];
    expect(await world.peer.lookUpJobs(ids)).toEqual([
      { kind: "tombstone" },
      { kind: "unknown" },
      { kind: "present", job: present },
    ]);
  },
};
