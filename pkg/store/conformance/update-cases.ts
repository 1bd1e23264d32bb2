import { expect } from "vitest";
import { InvariantError } from "#pkg/errors/index.ts";
import { JobStatus, mayBecome } from "#pkg/job/index.ts";
import type { JobUpdate } from "#pkg/store/jobs.ts";
import { type Cases, START_MS } from "./world.ts";

export const updateCases: Cases = {
  "an owner's write changes what it names, raises the version and appends its event": async (world) => {
    const job = await world.insert({ waitReason: "CAPACITY", providerState: "QUEUED" });
    const update = world.update(
      job,
      { status: "RUNNING", waitReason: undefined, providerJobId: "p" },
      "ACCEPTED",
    );
    const expected = {
      ...job,
      status: "RUNNING",
      waitReason: undefined,
      providerJobId: "p",
      version: 2,
      updatedAtMs: update.atMs,
    };
    expect(await world.store.updateJobs([update])).toEqual([{ kind: "applied", job: expected }]);
    expect(await world.peer.getJobs([job])).toEqual([expected]);
    expect((await world.store.listEvents(job)).at(-1)).toEqual({
      seq: 2,
      type: "ACCEPTED",
      from: "PENDING",
      to: "RUNNING",
      reason: "BECAUSE",
      actor: job.owner?.workerId,
      term: job.owner?.term,
      atMs: update.atMs,
    });
  },

  "every column that an owner may change is written, and is cleared by undefined": async (world) => {
    const job = await world.insert();
    const all = {
      attempt: 2,
      createPhase: "BEGUN",
      unstartedAttempts: 1,
      providerJobId: "p",
      providerState: "s",
      error: { reason: "R", message: "m" },
      waitReason: "w",
      dueAtMs: START_MS + 9,
      startedAtMs: START_MS + 10,
      completedAtMs: START_MS + 11,
      owner: { workerId: "next", term: 3 },
    } as const;
    const written = await world.apply(job, all);
    expect(await world.get(job)).toEqual({ ...job, ...all, version: 2, updatedAtMs: written.updatedAtMs });
    const none = {
      providerJobId: undefined,
      providerState: undefined,
      error: undefined,
      waitReason: undefined,
      dueAtMs: undefined,
      startedAtMs: undefined,
      completedAtMs: undefined,
      owner: undefined,
    };
    await world.apply(written, none);
    expect(await world.get(job)).toEqual({ ...written, ...none, version: 3 });
  },

  "a write without an event appends none, and its number is not used again": async (world) => {
    const job = await world.insert();
    const second = await world.apply(job, { providerState: "QUEUED" });
    await world.store.updateJobs([world.update(second, { status: "RUNNING" }, "ACCEPTED")]);
    expect((await world.store.listEvents(job)).map((event) => event.seq)).toEqual([1, 3]);
  },

  "the event of a write that gives the job another owner, or none, names the owner who wrote it": async (
    world,
  ) => {
    for (const next of [{ workerId: "next", term: 3 }, undefined]) {
      const job = await world.insert();
      const [result] = await world.store.updateJobs([world.update(job, { owner: next }, "WAITING")]);
      expect(result).toMatchObject({ kind: "applied", job: { version: 2 } });
      expect((await world.get(job))?.owner).toEqual(next);
      expect((await world.store.listEvents(job)).at(-1)).toMatchObject({
        seq: 2,
        actor: world.owner.workerId,
        term: world.owner.term,
      });
    }
  },

  "a write that names another version, owner, term or status is stale and changes nothing": async (world) => {
    const job = await world.insert();
    const right = world.update(job, { status: "RUNNING" }, "ACCEPTED");
    const wrong: readonly JobUpdate[] = [
      { ...right, version: 2 },
      { ...right, owner: { ...right.owner, workerId: "somebody" } },
      { ...right, owner: { ...right.owner, term: 2 } },
      { ...right, from: "RUNNING" },
      { ...right, jobId: world.newJob().jobId },
    ];
    for (const update of wrong) expect(await world.store.updateJobs([update])).toEqual([{ kind: "stale" }]);
    expect(await world.get(job)).toEqual(job);
    expect(await world.store.listEvents(job)).toHaveLength(1);
  },

  "a row without an owner is nobody's to write": async (world) => {
    const job = await world.insert({ owner: undefined });
    expect(await world.store.updateJobs([world.update(job, { status: "RUNNING" })])).toEqual([
      { kind: "stale" },
    ]);
  },

  "of many concurrent writes at one version exactly one applies": async (world) => {
    const job = await world.insert();
    const results = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        (index % 2 === 0 ? world.store : world.peer).updateJobs([
          world.update(job, { providerState: `s${index}` }, "WAITING"),
        ]),
      ),
    );
    expect(results.flat().filter((result) => result.kind === "applied")).toHaveLength(1);
    expect((await world.get(job))?.version).toBe(2);
    expect(await world.store.listEvents(job)).toHaveLength(2);
  },

  "a cancel left between an owner's read and its write makes the write stale, and is not wiped by the next":
    async (world) => {
      const job = await world.insert();
      await world.peer.leaveRequest(job, "cancel", { actor: "elsewhere", atMs: START_MS + 50 });
      const late = world.update(job, { status: "RUNNING" });
      expect(await world.store.updateJobs([late])).toEqual([{ kind: "stale" }]);
      const now = await world.get(job);
      expect(now?.status).toBe("PENDING");
      const written = await world.apply(now ?? job, { status: "RUNNING", providerJobId: "p" });
      expect(written.cancelRequestedAtMs).toBe(START_MS + 50);
      expect((await world.get(job))?.cancelRequestedAtMs).toBe(START_MS + 50);
    },

  "a transition that the table forbids is refused, and nothing of its group is written": async (world) => {
    for (const from of Object.values(JobStatus)) {
      for (const to of Object.values(JobStatus)) {
        if (mayBecome(from, to)) continue;
        const [job, other] = [await world.insert({ status: from }), await world.insert()];
        const group = [
          world.update(other, { providerState: "x" }),
          world.update(job, { status: to }, "COMPLETED"),
        ];
        await expect(world.store.updateJobs(group)).rejects.toThrow(InvariantError);
        expect(await world.get(job)).toEqual(job);
        expect(await world.get(other)).toEqual(other);
      }
    }
  },

  "every transition of the table is written": async (world) => {
    for (const from of Object.values(JobStatus)) {
      for (const to of Object.values(JobStatus)) {
        if (!mayBecome(from, to)) continue;
        const job = await world.insert({ status: from });
        expect((await world.apply(job, { status: to })).status).toBe(to);
      }
    }
  },
};
