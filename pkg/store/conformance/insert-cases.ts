import { expect } from "vitest";
import type { InsertResult } from "#pkg/store/jobs.ts";
import { type Cases, START_MS } from "./world.ts";

const countOf = (results: readonly InsertResult[], kind: InsertResult["kind"]) =>
  results.filter((result) => result.kind === kind).length;

export const insertCases: Cases = {
  "an inserted job reads back as it was given, at version 1": async ({ store, newJob, get }) => {
    const job = newJob({
      name: "full ✓",
      sealedEnv: new Uint8Array([0, 1, 255]),
      sealingKeyId: "k1",
      idempotencyKey: "key",
      providerJobId: "p",
      providerState: "QUEUED",
      error: { reason: "SAMPLE", message: "a 'quoted' message", exitCode: 3 },
      waitReason: "NO_WORKER",
      dueAtMs: START_MS + 5,
      retryOf: "older",
      startedAtMs: START_MS + 6,
    });
    const [result] = await store.insertJobs([job]);
    const expected = { ...job, version: 1, updatedAtMs: job.createdAtMs };
    expect(result).toEqual({ kind: "inserted", job: expected });
    expect(await get(job)).toEqual(expected);
  },

  "an insert is seen by another handle at once": async ({ peer, insert }) => {
    const job = await insert();
    expect(await peer.getJobs([job])).toEqual([job]);
  },

  "the history begins with SUBMITTED by the owner": async ({ store, insert, owner }) => {
    const job = await insert();
    expect(await store.listEvents(job)).toEqual([
      {
        seq: 1,
        type: "SUBMITTED",
        from: undefined,
        to: "PENDING",
        reason: "",
        actor: owner.workerId,
        term: owner.term,
        atMs: job.createdAtMs,
      },
    ]);
  },

  "results stand in the order of the jobs": async ({ store, newJob }) => {
    const [a, b, c] = [newJob(), newJob(), newJob()];
    await store.insertJobs([b]);
    const results = await store.insertJobs([c, b, a]);
    expect(results.map((result) => result.kind)).toEqual(["inserted", "repeated", "inserted"]);
    expect(results.map((result) => (result.kind === "conflict" ? "" : result.job.jobId))).toEqual(
      [c, b, a].map((job) => job.jobId),
    );
  },

  "a second insert of an id answers the first job, and changes nothing": async ({
    store,
    newJob,
    insert,
  }) => {
    const first = await insert({ name: "first" });
    const again = { ...newJob({ name: "second" }), jobId: first.jobId, requestHash: "other" };
    expect(await store.insertJobs([again])).toEqual([{ kind: "repeated", job: first }]);
    expect(await store.listEvents(first)).toHaveLength(1);
  },

  "the same key with the same hash answers the first job": async ({ store, newJob, insert }) => {
    const first = await insert({ idempotencyKey: "k" });
    expect(await store.insertJobs([newJob({ idempotencyKey: "k" })])).toEqual([
      { kind: "repeated", job: first },
    ]);
  },

  "the same key with another hash is a conflict, and leaves nothing behind": async ({
    store,
    newJob,
    insert,
    get,
  }) => {
    await insert({ idempotencyKey: "k" });
    const other = newJob({ idempotencyKey: "k", requestHash: "other" });
    expect(await store.insertJobs([other])).toEqual([{ kind: "conflict", reason: "DIFFERENT_REQUEST" }]);
    expect(await get(other)).toBeUndefined();
  },

  "a key tells what it was first used for, to its own tenant alone": async ({ store, peer, insert }) => {
    const job = await insert({ idempotencyKey: "key" });
    const used = { jobId: job.jobId, requestHash: job.requestHash };
    expect(await peer.findKey(job.tenantId, "key")).toEqual(used);
    expect(await store.findKey(job.tenantId, "other")).toBeUndefined();
    expect(await store.findKey("another", "key")).toBeUndefined();
  },

  "a key belongs to its tenant": async ({ store, newJob, insert, worker }) => {
    await insert({ idempotencyKey: "k" });
    const [result] = await store.insertJobs([newJob({ tenantId: worker("other"), idempotencyKey: "k" })]);
    expect(result?.kind).toBe("inserted");
  },

  "an id of one tenant tells another nothing": async ({ store, newJob, insert, worker }) => {
    const job = await insert();
    const stranger = { tenantId: worker("other"), jobId: job.jobId };
    expect(await store.getJobs([stranger])).toEqual([]);
    expect(await store.listEvents(stranger)).toEqual([]);
    expect(await store.leaveRequest(stranger, "cancel", { actor: "x", atMs: START_MS })).toEqual({
      kind: "missing",
    });
    const [result] = await store.insertJobs([{ ...newJob(), ...stranger }]);
    expect(result?.kind === "repeated" && result.job.tenantId === job.tenantId).toBe(false);
  },

  "of a hundred concurrent inserts of one key one is inserted, and all answer it": async ({
    store,
    peer,
    newJob,
  }) => {
    const jobs = Array.from({ length: 100 }, () => newJob({ idempotencyKey: "race" }));
    const results = (
      await Promise.all(jobs.map((job, index) => (index % 2 === 0 ? store : peer).insertJobs([job])))
    ).flat();
    expect([countOf(results, "inserted"), countOf(results, "repeated")]).toEqual([1, 99]);
    expect(new Set(results.map((result) => (result.kind === "conflict" ? "" : result.job.jobId))).size).toBe(
      1,
    );
    expect(await store.getJobs(jobs)).toHaveLength(1);
  },

  "of a hundred concurrent inserts of one id one is inserted": async ({ store, peer, newJob }) => {
    const job = newJob();
    const results = await Promise.all(
      Array.from({ length: 100 }, (_, index) => (index % 2 === 0 ? store : peer).insertJobs([job])),
    );
    expect([countOf(results.flat(), "inserted"), countOf(results.flat(), "repeated")]).toEqual([1, 99]);
    expect(await store.listEvents(job)).toHaveLength(1);
  },

  "two jobs of one key in one call make one": async ({ store, newJob }) => {
    const results = await store.insertJobs([
      newJob({ idempotencyKey: "k" }),
      newJob({ idempotencyKey: "k" }),
    ]);
    expect(results.map((result) => result.kind)).toEqual(["inserted", "repeated"]);
  },

  "the rows that are there are read, and the others left out": async ({ store, newJob, insert }) => {
    const [a, b] = [await insert(), await insert()];
    const jobs = await store.getJobs([a, newJob(), b]);
    expect(new Set(jobs.map((job) => job.jobId))).toEqual(new Set([a.jobId, b.jobId]));
  },
};
