import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import { type Job, JobStatus } from "#pkg/job/index.ts";
import type { JobUpdate } from "#pkg/store/index.ts";
import { newJob } from "#test/support/new-job.ts";
import { type OwnerOptions, type OwnerUnderTest, startOwner } from "./owner.ts";

/** Submit-once against the real store and the real local provider, with the answers of both lost where it hurts. */
let owner: OwnerUnderTest;
afterEach(() => owner.stop());

const never = new AbortController().signal;
const ended = (job: Job | undefined) => job !== undefined && !["PENDING", "RUNNING"].includes(job.status);
const lost = () => new UnavailableError("STORE_UNAVAILABLE", "the answer was lost");
const makes = (status: JobStatus) => (updates: readonly JobUpdate[]) =>
  updates.some((update) => update.changes.status === status);

/**
 * Does something once, the first time that an update is one of these. The search for requests finds nothing meanwhile, so
 * that only a write that matched no row can tell of one.
 */
function onceAt(
  isOne: (updates: readonly JobUpdate[]) => boolean,
  when: "before" | "instead of its answer",
  act: (update: JobUpdate) => Promise<void>,
): NonNullable<OwnerOptions["storeBetween"]> {
  let done = false;
  return (store) => ({
    ...store,
    findRequests: async () => [],
    async updateJobs(updates) {
      const [update] = updates;
      const hits = !done && update !== undefined && isOne(updates);
      done ||= hits;
      if (hits && when === "before") await act(update);
      const results = await store.updateJobs(updates);
      if (hits && when === "instead of its answer") await act(update);
      return results;
    },
  });
}

const submit = async (script: string) => owner.dispatcher.begin(await owner.insert(script), never);

describe("a cancel that another worker leaves between the owner's read and its write", () => {
  it("before the answer of the create is committed: the job is not dropped, and ends CANCELLED", async () => {
    const storeBetween = onceAt(makes(JobStatus.Running), "before", ({ jobId }) =>
      owner.requestBehindItsBack(jobId, "cancel"),
    );
    owner = await startOwner({ storeBetween });
    const { jobId } = await submit("sleep 60");
    const job = await owner.until(jobId, ended);
    expect(job).toMatchObject({ status: "CANCELLED", attempt: 1 });
    expect(job?.cancelRequestedAtMs).toBeDefined();
  });

  it("before the end is committed: the end is told all the same", async () => {
    const storeBetween = onceAt(makes(JobStatus.Completed), "before", ({ jobId }) =>
      owner.requestBehindItsBack(jobId, "cancel"),
    );
    owner = await startOwner({ storeBetween });
    const { jobId } = await submit("true");
    expect(await owner.until(jobId, ended)).toMatchObject({ status: "COMPLETED" });
  });

  it("before any create: nothing is started", async () => {
    const begins = (updates: readonly JobUpdate[]) => updates.some((u) => u.changes.createPhase === "BEGUN");
    const storeBetween = onceAt(begins, "before", ({ jobId }) => owner.requestBehindItsBack(jobId, "cancel"));
    owner = await startOwner({ storeBetween });
    const { jobId } = await submit(`echo ran >> ${owner.folder}/ran`);
    expect(await owner.until(jobId, ended)).toMatchObject({ status: "CANCELLED" });
    expect(await owner.linesOf("ran")).toEqual([]);
  });
});

describe("an answer that is lost", () => {
  it.each([JobStatus.Running, JobStatus.Completed])(
    "of the commit of %s: read again, one batch job",
    async (status) => {
      const storeBetween = onceAt(makes(status), "instead of its answer", () => Promise.reject(lost()));
      owner = await startOwner({ storeBetween });
      const { jobId } = await submit(`echo ran >> ${owner.folder}/ran`);
      expect(await owner.until(jobId, ended)).toMatchObject({ status: "COMPLETED", attempt: 1 });
      expect(await owner.linesOf("ran")).toEqual(["ran"]);
    },
  );

  it("of the create: unknown is not failed; it is asked again and adopted", async () => {
    let creates = 0;
    owner = await startOwner({
      providerBetween: (provider) => ({
        ...provider,
        async create(...args) {
          creates += 1;
          const outcome = await provider.create(...args);
          return creates === 1 ? { kind: "unknown", cause: new Error("reset") } : outcome;
        },
      }),
    });
    const { jobId } = await submit(`echo ran >> ${owner.folder}/ran`);
    expect(await owner.until(jobId, ended)).toMatchObject({ status: "COMPLETED", attempt: 1 });
    expect(creates).toBe(2);
    expect(await owner.linesOf("ran")).toEqual(["ran"]);
  });
});

describe("where creating again does not settle a doubt", () => {
  /** The local provider as a cloud without a token: it may be created once by name, and is then looked for. */
  function tokenless(
    creates: string[],
    first: "made" | "not made",
  ): NonNullable<OwnerOptions["providerBetween"]> {
    return (provider) => ({
      ...provider,
      capabilities: { ...provider.capabilities, createIsIdempotent: false },
      async create(request, permit) {
        creates.push(request.batchJobId);
        const isFirst = creates.length === 1;
        if (isFirst && first === "not made") return { kind: "unknown", cause: new Error("reset") };
        const outcome = await provider.create(request, permit);
        return isFirst ? { kind: "unknown", cause: new Error("reset") } : outcome;
      },
    });
  }

  it("what was made is found by its name and adopted, and never created twice", async () => {
    const creates: string[] = [];
    owner = await startOwner({ providerBetween: tokenless(creates, "made") });
    const { jobId } = await submit(`echo ran >> ${owner.folder}/ran; sleep 1`);
    expect(await owner.until(jobId, ended)).toMatchObject({ status: "COMPLETED" });
    expect(creates).toHaveLength(1);
    expect(await owner.linesOf("ran")).toEqual(["ran"]);
  });

  it("a new owner creates again only after a look that began when the doubt was settled", async () => {
    const creates: string[] = ["by the owner before"];
    owner = await startOwner({ providerBetween: tokenless(creates, "made"), settleMs: 1_500 });
    const row = await owner.insert(`echo ran >> ${owner.folder}/ran`, { createPhase: "BEGUN" });
    const before = systemClock.monotonicMs();
    owner.dispatcher.takeOver([row]);
    expect(await owner.until(row.jobId, ended)).toMatchObject({ status: "COMPLETED" });
    expect(systemClock.monotonicMs() - before).toBeGreaterThan(1_500);
    expect(creates).toHaveLength(2);
    expect(await owner.linesOf("ran")).toEqual(["ran"]);
  });

  it("a cancel waits until the doubt is settled", async () => {
    const creates: string[] = ["by the owner before"];
    owner = await startOwner({ providerBetween: tokenless(creates, "made"), settleMs: 1_000 });
    const row = await owner.insert("true", { createPhase: "BEGUN", cancelRequestedAtMs: 1 });
    const before = systemClock.monotonicMs();
    owner.dispatcher.takeOver([row]);
    expect(await owner.until(row.jobId, ended)).toMatchObject({ status: "CANCELLED" });
    expect(systemClock.monotonicMs() - before).toBeGreaterThan(1_000);
    expect(creates).toHaveLength(1);
  });
});

describe("a refusal", () => {
  const refuse = { kind: "rejected", reason: "NO_SUCH_IMAGE", message: "there is no such image" } as const;

  it("for good fails the job with the provider's own words", async () => {
    owner = await startOwner({
      providerBetween: (provider) => ({ ...provider, create: async () => refuse }),
    });
    const job = await submit("true");
    expect(job).toMatchObject({
      status: "FAILED",
      error: { reason: "NO_SUCH_IMAGE", message: refuse.message },
    });
  });

  it("while an earlier create is in doubt does not fail a job that the cloud has", async () => {
    let creates = 0;
    owner = await startOwner({
      providerBetween: (provider) => ({
        ...provider,
        async create(...args) {
          creates += 1;
          if (creates > 1) return refuse;
          await provider.create(...args);
          return { kind: "unknown", cause: new Error("reset") };
        },
      }),
    });
    const { jobId } = await submit(`echo ran >> ${owner.folder}/ran`);
    expect(await owner.until(jobId, ended)).toMatchObject({ status: "COMPLETED" });
    expect(creates).toBe(2);
  });

  it("for now leaves it PENDING with a wait_reason, and every other create of the target waits too", async () => {
    let creates = 0;
    owner = await startOwner({
      providerBetween: (provider) => ({
        ...provider,
        async create(...args) {
          creates += 1;
          if (creates === 1)
            return {
              kind: "refused",
              reason: "QUOTA",
              message: "full",
              retryAfterMs: 8_000,
              holdsUp: "target",
            };
          return provider.create(...args);
        },
      }),
    });
    const first = await submit("true");
    expect(first).toMatchObject({ status: "PENDING", waitReason: "QUOTA", createPhase: "INTENDED" });
    const second = await submit("true");
    expect(second.status).toBe("PENDING");
    expect(creates).toBe(1);
    for (const { jobId } of [first, second])
      expect(await owner.until(jobId, ended)).toMatchObject({ status: "COMPLETED" });
  });
});

describe("a cloud that asks for fewer calls", () => {
  it("in its answer to a create: reads of the target rest as long", async () => {
    const running = Promise.withResolvers<void>();
    const lookedAgain = Promise.withResolvers<number>();
    let refusedAtMs: number | undefined;
    owner = await startOwner({
      providerBetween: (provider) => ({
        ...provider,
        async create(request, permit) {
          if (!request.spec.labels.refused || refusedAtMs !== undefined)
            return provider.create(request, permit);
          refusedAtMs = systemClock.monotonicMs();
          const refused = { kind: "refused", reason: "RATE_LIMITED", message: "slower" } as const;
          return { ...refused, retryAfterMs: 2_500, holdsUp: "calls" };
        },
        describe(...args) {
          if (refusedAtMs === undefined) running.resolve();
          else lookedAgain.resolve(systemClock.monotonicMs() - refusedAtMs);
          return provider.describe(...args);
        },
      }),
    });
    const watched = await submit("sleep 60");
    await running.promise;
    const { spec } = newJob();
    const row = await owner.insert("true", { spec: { ...spec, labels: { refused: "yes" } } });
    expect(await owner.dispatcher.begin(row, never)).toMatchObject({ waitReason: "RATE_LIMITED" });
    // Young as it is, it would be looked at every second.
    expect(await lookedAgain.promise).toBeGreaterThanOrEqual(2_500);
    await owner.requestBehindItsBack(watched.jobId, "cancel");
    for (const { jobId } of [row, watched]) await owner.until(jobId, ended);
  });
});

describe("a create that is refused again and again", () => {
  it("is told once an attempt, and tried until it is accepted", async () => {
    let refusals = 0;
    owner = await startOwner({
      providerBetween: (provider) => ({
        ...provider,
        async create(request, permit) {
          if (refusals === 2) return provider.create(request, permit);
          refusals += 1;
          const refused = { kind: "refused", reason: "QUOTA", message: "full" } as const;
          return { ...refused, retryAfterMs: undefined, holdsUp: "target" };
        },
      }),
    });
    const { spec } = newJob();
    const fails = { ...spec, entrypoint: "/bin/sh", commands: ["-c", "exit 1"], maxRetries: 1 };
    const row = await owner.insert("exit 1", { spec: fails });
    await owner.dispatcher.begin(row, never);
    expect(await owner.until(row.jobId, ended)).toMatchObject({ status: "FAILED", attempt: 2 });
    const told = (await owner.store.listEvents(row)).map(({ type }) => type);
    expect(refusals).toBe(2);
    expect(told.filter((type) => ["DISPATCHING", "WAITING", "RETRYING"].includes(type))).toEqual([
      "DISPATCHING",
      "WAITING",
      "RETRYING",
      "DISPATCHING",
    ]);
  });
});

describe("the start of a program", () => {
  it("is told although the write of it failed once", async () => {
    const isStart = (updates: readonly JobUpdate[]) => updates.some(({ event }) => event?.type === "STARTED");
    let failures = 0;
    owner = await startOwner({
      storeBetween: (store) => ({
        ...store,
        async updateJobs(updates) {
          if (failures > 0 || !isStart(updates)) return store.updateJobs(updates);
          failures += 1;
          throw lost();
        },
      }),
      providerBetween: (provider) => ({
        ...provider,
        async create(...args) {
          const outcome = await provider.create(...args);
          if (outcome.kind !== "accepted") return outcome;
          return { ...outcome, state: { ...outcome.state, phase: "QUEUED", startedAtMs: undefined } };
        },
      }),
    });
    const { jobId } = await submit("sleep 60");
    const job = await owner.until(jobId, (row) => row?.startedAtMs !== undefined);
    expect(job?.status).toBe("RUNNING");
    expect(failures).toBe(1);
    await owner.requestBehindItsBack(jobId, "cancel");
    await owner.until(jobId, ended);
    const told = (await owner.store.listEvents({ tenantId: "tenant", jobId })).map(({ type }) => type);
    expect(told.filter((type) => type === "STARTED")).toHaveLength(1);
  });
});

describe("a create refused for a reason of the job's own", () => {
  it("leaves that job PENDING with a wait_reason, and every other create of the target goes on", async () => {
    let refusals = 0;
    let heldId = "";
    owner = await startOwner({
      providerBetween: (provider) => ({
        ...provider,
        async create(request, permit) {
          if (request.jobId !== heldId || refusals === 2) return provider.create(request, permit);
          refusals += 1;
          const message = "not allowed to act as it";
          return { kind: "refused", reason: "ACT_AS", message, retryAfterMs: undefined, holdsUp: "job" };
        },
      }),
    });
    const row = await owner.insert("true");
    heldId = row.jobId;
    const held = await owner.dispatcher.begin(row, never);
    expect(held).toMatchObject({ status: "PENDING", waitReason: "ACT_AS", createPhase: "INTENDED" });
    const free = await submit("true");
    expect(free.status).toBe("RUNNING");
    expect(await owner.until(held.jobId, ended)).toMatchObject({ status: "COMPLETED", attempt: 1 });
    expect(refusals).toBe(2);
  });
});

describe("trust", () => {
  it("nothing leaves while the lease is not certain, and it goes on when it is", async () => {
    let sent = 0;
    owner = await startOwner({
      providerBetween: (provider) => ({
        ...provider,
        create(request, permit) {
          permit.assertTrusted();
          sent += 1;
          return provider.create(request, permit);
        },
      }),
    });
    let asked = 0;
    const asking = Promise.withResolvers<void>();
    Object.defineProperty(owner.reign, "trustedMs", {
      configurable: true,
      get() {
        asked += 1;
        if (asked > 6) asking.resolve();
        return 0;
      },
    });
    const row = await owner.insert(`echo ran >> ${owner.folder}/ran`);
    const begun = owner.dispatcher.begin(row, never);
    await asking.promise;
    expect(sent).toBe(0);
    Object.defineProperty(owner.reign, "trustedMs", { value: 60_000 });
    await begun;
    expect(await owner.until(row.jobId, ended)).toMatchObject({ status: "COMPLETED" });
    expect(sent).toBe(1);
  });

  it("an owner whose term is over changes nothing", async () => {
    owner = await startOwner();
    const { jobId } = await submit(`until [ -e ${owner.folder}/go ]; do sleep 0.05; done`);
    const before = await owner.until(jobId, (job) => job?.status === "RUNNING");
    await owner.store.endTerm({ workerId: "me", term: 1 }, "me-1");
    const [claimed] = await owner.store.claimJobs({
      claimer: { workerId: "peer", term: 1 },
      targets: [owner.provider.target],
      level: 1,
      livingTargets: [owner.provider.target],
      dead: [{ workerId: "me", afterTerm: 0, throughTerm: 1 }],
      nowMs: 0,
      includeUnowned: false,
      limit: 10,
    });
    expect(claimed?.jobId).toBe(jobId);
    await writeFile(join(owner.folder, "go"), "");
    // It does not know yet, sees the end, and tries to write it.
    const id = before?.providerJobId ?? "";
    for (;;) {
      const state = (await owner.provider.describe([id], never)).get(id);
      if (state?.phase === "SUCCEEDED") {
        owner.dispatcher.observed(jobId, id, state);
        break;
      }
    }
    owner.dispatcher.forgetAll();
    await owner.dispatcher.stop();
    expect(await owner.job(jobId)).toEqual(claimed);
  });
});

describe("a delete", () => {
  it("removes the batch job, then the row, no sooner than settled, and leaves a tombstone", async () => {
    owner = await startOwner({ settleMs: 3_000 });
    const { jobId } = await submit("true");
    const done = await owner.until(jobId, ended);
    const before = systemClock.monotonicMs();
    await owner.requestBehindItsBack(jobId, "delete");
    await owner.until(jobId, (job) => job === undefined);
    expect(systemClock.monotonicMs() - before).toBeGreaterThan(2_900);
    const id = done?.providerJobId ?? "";
    expect((await owner.provider.describe([id], never)).size).toBe(0);
    expect(await owner.store.hasTombstone({ tenantId: "tenant", jobId })).toBe(true);
  });
});
