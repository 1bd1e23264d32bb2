import { expect } from "vitest";
import type { Job, JobRef } from "#pkg/job/index.ts";
import { type Cases, START_MS, type World } from "./world.ts";

const by = { actor: "elsewhere", atMs: START_MS + 77 };

/** Reads every page of three, and shows that none was longer. */
async function allPages(page: (after: JobRef | undefined) => Promise<readonly Job[]>): Promise<string[]> {
  const ids: string[] = [];
  for (let after: JobRef | undefined; ; ) {
    const jobs = await page(after);
    expect(jobs.length).toBeLessThanOrEqual(3);
    ids.push(...jobs.map((job) => job.jobId));
    after = jobs.at(-1);
    if (after === undefined) return ids;
  }
}

const requestsOf = (world: World) => allPages((after) => world.store.findRequests(world.owner, after, 3));

export const requestCases: Cases = {
  "a cancel sets its column alone, raises the version and appends an event": async (world) => {
    const job = await world.insert();
    const expected = { ...job, version: 2, cancelRequestedAtMs: by.atMs, updatedAtMs: by.atMs };
    expect(await world.peer.leaveRequest(job, "cancel", by)).toEqual({
      kind: "left",
      first: true,
      job: expected,
    });
    expect(await world.get(job)).toEqual(expected);
    expect((await world.store.listEvents(job)).at(-1)).toEqual({
      seq: 2,
      type: "CANCEL_REQUESTED",
      from: "PENDING",
      to: "PENDING",
      reason: "",
      actor: by.actor,
      term: 0,
      atMs: by.atMs,
    });
  },

  "a repeated request changes nothing and appends nothing": async (world) => {
    const job = await world.insert();
    const first = await world.store.leaveRequest(job, "cancel", by);
    const again = await world.peer.leaveRequest(job, "cancel", { ...by, atMs: by.atMs + 1 });
    expect(again).toEqual({ ...first, first: false });
    expect(await world.store.listEvents(job)).toHaveLength(2);
  },

  "of many concurrent requests one is the first": async (world) => {
    const job = await world.insert();
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        (index % 2 === 0 ? world.store : world.peer).leaveRequest(job, "cancel", by),
      ),
    );
    expect(results.filter((result) => result.kind === "left" && result.first)).toHaveLength(1);
    expect((await world.get(job))?.version).toBe(2);
  },

  "cancel wants an active job": async (world) => {
    for (const status of ["COMPLETED", "FAILED", "CANCELLED"] as const) {
      const job = await world.insert({ status });
      expect(await world.store.leaveRequest(job, "cancel", by)).toEqual({ kind: "refused", job });
      expect(await world.get(job)).toEqual(job);
    }
    const running = await world.insert({ status: "RUNNING" });
    expect(await world.store.leaveRequest(running, "cancel", by)).toMatchObject({ kind: "left" });
  },

  "delete wants a terminal job": async (world) => {
    for (const status of ["PENDING", "RUNNING"] as const) {
      const job = await world.insert({ status });
      expect(await world.store.leaveRequest(job, "delete", by)).toEqual({ kind: "refused", job });
    }
    const job = await world.insert({ status: "FAILED" });
    const left = await world.store.leaveRequest(job, "delete", by);
    expect(left).toMatchObject({
      kind: "left",
      first: true,
      job: { deleteRequestedAtMs: by.atMs, version: 2 },
    });
    expect((await world.store.listEvents(job)).at(-1)?.type).toBe("DELETE_REQUESTED");
  },

  "a repeated delete request changes nothing and appends nothing": async (world) => {
    const job = await world.insert({ status: "COMPLETED" });
    const first = await world.store.leaveRequest(job, "delete", by);
    expect(first).toMatchObject({ kind: "left", first: true });
    const again = await world.peer.leaveRequest(job, "delete", { ...by, atMs: by.atMs + 1 });
    expect(again).toEqual({ ...first, first: false });
    expect(await world.store.listEvents(job)).toHaveLength(2);
  },

  "a request on a job that is not there is missing": async (world) => {
    expect(await world.store.leaveRequest(world.newJob(), "cancel", by)).toEqual({ kind: "missing" });
  },

  "requests that are not done are found by their owner, page by page": async (world) => {
    const wanted: string[] = [];
    for (let index = 0; index < 8; index++) {
      const cancelled = await world.insert();
      await world.store.leaveRequest(cancelled, "cancel", by);
      wanted.push(cancelled.jobId);
      await world.insert();
    }
    const finished = await world.insert({ status: "COMPLETED" });
    await world.store.leaveRequest(finished, "delete", by);
    wanted.push(finished.jobId);
    expect(await requestsOf(world)).toEqual(wanted.sort());
  },

  "a cancel of a job that ended since is done, and another owner's or term's is not found": async (world) => {
    const ended = await world.insert();
    const left = await world.store.leaveRequest(ended, "cancel", by);
    if (left.kind === "left") await world.apply(left.job, { status: "CANCELLED" });
    for (const owner of [{ ...world.owner, term: 2 }, { ...world.owner, workerId: "x" }, undefined]) {
      const other = await world.insert({ owner });
      await world.store.leaveRequest(other, "cancel", by);
    }
    expect(await requestsOf(world)).toEqual([]);
  },

  "an owner finds the active jobs that it owns, page by page": async (world) => {
    const wanted: string[] = [];
    for (let index = 0; index < 7; index++) {
      wanted.push((await world.insert({ status: index % 2 === 0 ? "PENDING" : "RUNNING" })).jobId);
      await world.insert({ status: "COMPLETED" });
      await world.insert({ owner: { ...world.owner, term: 2 } });
      await world.insert({ owner: undefined });
    }
    const found = await allPages((after) => world.peer.findOwned(world.owner, after, 3));
    expect(found).toEqual(wanted.sort());
  },
};
