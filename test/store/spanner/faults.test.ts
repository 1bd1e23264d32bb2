import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock, systemClock } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import type { Owner } from "#pkg/job/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { type FaultProxy, startFaultProxy } from "#test/support/fault-proxy.ts";
import { newJob } from "#test/support/new-job.ts";
import { PATIENCE_MS } from "#test/support/node-process.ts";
import { describeOnSpanner, spannerStoreOf } from "#test/support/spanner-emulator.ts";

const ABORTED = 10;
const UNAVAILABLE = 14;
const owner = { workerId: "worker-1", term: 1 };
const NOW = { load: 0, draining: false };
const begin = (workerId: string, instance: string) => ({
  workerId,
  instance,
  expected: undefined,
  url: undefined,
  version: "1.0.0",
  level: 1,
  targets: ["test/target"],
  kinds: ["container"],
  capacity: 1,
});

describeOnSpanner("spanner and its faults", (emulator) => {
  let proxy: FaultProxy;
  let database: string;
  /** Behind the proxy. */
  let store: JobStore;
  /** Straight to the emulator(). */
  let peer: JobStore;

  beforeAll(async () => {
    database = await emulator().createDatabase("migrated");
  });
  beforeEach(async () => {
    peer = spannerStoreOf(database);
    await peer.start();
    proxy = await startFaultProxy(emulator().host);
    store = await startBehindProxy({});
  });
  afterEach(async () => {
    await Promise.all([store.stop(), peer.stop()]);
    await proxy.stop();
  });

  /** Clients read where their server is when they are made. */
  async function startBehindProxy(changes: Parameters<typeof spannerStoreOf>[1]): Promise<JobStore> {
    const made = spannerStoreOf(database, changes);
    process.env.SPANNER_EMULATOR_HOST = proxy.host;
    await made.start();
    process.env.SPANNER_EMULATOR_HOST = emulator().host;
    return made;
  }

  async function insertOne() {
    const [result] = await peer.insertJobs([newJob({ owner })]);
    if (result?.kind !== "inserted") throw new Error("a fresh job is inserted");
    return result.job;
  }

  it("a commit that happened and is never answered is asked for when its deadline is over", async () => {
    const job = newJob({ owner });
    proxy.befall("Commit", { kind: "silence" });
    expect(await store.insertJobs([job])).toMatchObject([{ kind: "inserted", job: { jobId: job.jobId } }]);
  });

  describe("a commit that happened and whose answer is lost", () => {
    it("is asked for, and an insert answers that it happened", async () => {
      const job = newJob({ owner, idempotencyKey: "key" });
      const before = proxy.count("Commit");
      proxy.befall("Commit", { kind: "lose" });
      expect(await store.insertJobs([job])).toMatchObject([{ kind: "inserted", job: { jobId: job.jobId } }]);
      expect(proxy.count("Commit")).toBe(before + 2);
      expect(await peer.listEvents(job)).toHaveLength(1);
    });

    it("is asked for, and an update answers that it was applied, once", async () => {
      const job = await insertOne();
      proxy.befall("Commit", { kind: "lose" });
      const update = { ...job, owner, from: job.status, changes: { status: "RUNNING" }, atMs: 1 } as const;
      const event = { type: "ACCEPTED", reason: "" } as const;
      expect(await store.updateJobs([{ ...update, event }])).toMatchObject([{ kind: "applied" }]);
      expect(await peer.getJobs([job])).toMatchObject([{ version: 2, status: "RUNNING" }]);
      expect(await peer.listEvents(job)).toHaveLength(2);
    });

    it("is asked for, and a claim knows what it took", async () => {
      const target = "test/claim";
      const jobs = [newJob({ target }), newJob({ target })];
      await peer.insertJobs(jobs);
      proxy.befall("Commit", { kind: "lose" });
      const taken = await store.claimJobs({
        claimer: owner,
        targets: [target],
        level: 1,
        dead: [],
        livingTargets: [target],
        nowMs: systemClock.nowMs(),
        includeUnowned: true,
        limit: 10,
      });
      expect(taken.map((job) => job.jobId).sort()).toEqual(jobs.map((job) => job.jobId).sort());
      expect((await peer.getJobs(jobs)).every((job) => job.version === 2)).toBe(true);
    });

    it("is asked for, and a term that began is known to have begun", async () => {
      proxy.befall("Commit", { kind: "lose" });
      const result = await store.beginTerm(begin("begins", "i1"));
      expect(result).toMatchObject({ applied: true, row: { term: 1, beat: 1 } });
    });

    it("is asked for, and a renewal raises the beat by one", async () => {
      const workerId = "renews";
      await peer.beginTerm(begin(workerId, "i1"));
      proxy.befall("Commit", { kind: "lose" });
      const result = await store.renewTerm({ workerId, term: 1 }, "i1", NOW);
      expect(result).toMatchObject({ applied: true, row: { beat: 2 } });
      expect((await peer.readWorkers()).find((row) => row.workerId === workerId)?.beat).toBe(2);
    });
  });

  it("a commit that never came is sent again, and happens once", async () => {
    const job = newJob({ owner });
    proxy.befall("Commit", { kind: "refuse", code: UNAVAILABLE }, 2);
    expect(await store.insertJobs([job])).toMatchObject([{ kind: "inserted" }]);
    expect(await peer.getJobs([job])).toHaveLength(1);
  });

  it("a commit whose fate stays unknown is told as unavailable, and the same ids again find the job", async () => {
    const clock = createManualClock();
    const patient = await startBehindProxy({ clock });
    const job = newJob({ owner });
    proxy.befall("Commit", { kind: "lose" }, 1_000);
    const lost = patient.insertJobs([job]);
    await untilToldInDoubt(lost, clock);
    await patient.stop();
    expect(await peer.insertJobs([job])).toMatchObject([{ kind: "repeated", job: { jobId: job.jobId } }]);
  });

  it("a claim whose second commit stays in doubt, after a peer left the first one short, is told as unavailable", async () => {
    const clock = createManualClock();
    const patient = await startBehindProxy({ clock });
    const target = "test/short";
    await peer.insertJobs([newJob({ target }), newJob({ target }), newJob({ target })]);
    const claimAs = (by: JobStore, claimer: Owner, limit: number) =>
      by.claimJobs({
        claimer,
        targets: [target],
        level: 1,
        dead: [],
        livingTargets: [target],
        nowMs: systemClock.nowMs(),
        includeUnowned: true,
        limit,
      });
    const mine = { workerId: "claims", term: 1 };
    // Between the search and the transaction, which waits for its next try.
    proxy.befall("StreamingRead", { kind: "refuse", code: ABORTED, retryDelayMs: 700 });
    const claiming = claimAs(patient, mine, 2);
    await until(
      () => clock.pending > 0,
      async () => undefined,
    );
    expect(await claimAs(peer, { workerId: "peer", term: 1 }, 1)).toHaveLength(1);
    const first = proxy.arrival("Commit");
    await clock.advance(1_000);
    await first;
    proxy.befall("Commit", { kind: "lose" }, 1_000);
    await untilToldInDoubt(claiming, clock);
    await patient.stop();
    // All of it is the claimer's, and nobody but itself would ever look for it.
    expect(await peer.findOwned(mine, undefined, 10)).toHaveLength(2);
  });

  it("a storm of aborts is over in milliseconds, each try after a pause, none of them the client's own", async () => {
    const clock = createManualClock();
    const patient = await startBehindProxy({ clock });
    const startMs = clock.monotonicMs();
    const reads = proxy.count("StreamingRead");
    const storm = 6;
    proxy.befall("StreamingRead", { kind: "refuse", code: ABORTED }, storm);
    const inserted = patient.insertJobs([newJob({ owner, tenantId: "tenant" })]);
    await until(
      () => hasSettled(inserted),
      () => passWhileWaiting(clock, 10),
    );
    expect(await inserted).toMatchObject([{ kind: "inserted" }]);
    expect(proxy.count("StreamingRead") - reads).toBeGreaterThan(storm);
    // The client's own pauses are not on this clock; had it made one, it would have been 2 seconds long at least.
    expect(clock.monotonicMs() - startMs).toBeLessThan(1_000);
    await patient.stop();
  });

  it("the next try waits for as long as Spanner asks, and a jittered while besides", async () => {
    const clock = createManualClock();
    const patient = await startBehindProxy({ clock });
    const job = newJob({ owner });
    proxy.befall("Commit", { kind: "refuse", code: ABORTED, retryDelayMs: 700 });
    const inserted = patient.insertJobs([job]);
    await until(
      () => clock.pending > 0,
      async () => undefined,
    );
    await clock.advance(700);
    expect(clock.pending).toBe(1);
    await clock.advance(20);
    await until(
      () => hasSettled(inserted),
      async () => undefined,
    );
    expect(await inserted).toMatchObject([{ kind: "inserted" }]);
    await patient.stop();
  });

  it("a wait that Spanner asks for and that is too long is not waited, and told to the caller", async () => {
    proxy.befall("StreamingRead", { kind: "refuse", code: UNAVAILABLE, retryDelayMs: 60_000 });
    await expect(store.getJobs([newJob()])).rejects.toMatchObject({
      name: "UnavailableError",
      retryAfterMs: 60_000,
    });
  });

  it("what is aborted again and again is told as unavailable when its time is over", async () => {
    const clock = createManualClock();
    const patient = await startBehindProxy({ clock });
    proxy.befall("StreamingRead", { kind: "refuse", code: ABORTED }, 10_000);
    const renewal = patient.renewTerm(owner, "i1", NOW);
    const outcome = expect(renewal).rejects.toThrow(/other transactions kept coming first/);
    await until(
      () => hasSettled(renewal),
      () => passWhileWaiting(clock, 1_000),
    );
    await outcome;
    expect(clock.monotonicMs()).toBeLessThan(15_000);
    await patient.stop();
  });

  it("a begin of a term waits for longer than others: until the locks of a killed process are let go", async () => {
    const clock = createManualClock();
    const patient = await startBehindProxy({ clock });
    const startMs = clock.monotonicMs();
    // Each of them takes a second of this clock: more together than any other operation may take.
    proxy.befall("StreamingRead", { kind: "refuse", code: ABORTED }, 20);
    const begun = patient.beginTerm(begin("worker-behind-locks", "i1"));
    await until(
      () => hasSettled(begun),
      () => passWhileWaiting(clock, 1_000),
    );
    expect(await begun).toMatchObject({ applied: true });
    expect(clock.monotonicMs() - startMs).toBeGreaterThan(10_000);
    await patient.stop();
  });

  it("an outage is told within its time, and the store works again after it, without a restart", async () => {
    const job = await insertOne();
    await proxy.cut();
    const startMs = systemClock.monotonicMs();
    const calls = await Promise.allSettled([
      store.ping(),
      store.getJobs([job]),
      store.insertJobs([newJob()]),
      store.renewTerm(owner, "i1", NOW),
    ]);
    expect(systemClock.monotonicMs() - startMs).toBeLessThan(PATIENCE_MS);
    for (const call of calls) {
      expect(call.status === "rejected" && call.reason).toBeInstanceOf(UnavailableError);
    }
    await proxy.mend();
    await until(
      async () => (await store.getJobs([job]).catch(() => [])).length === 1,
      () => systemClock.sleep(50),
    );
    expect(await store.insertJobs([newJob()])).toMatchObject([{ kind: "inserted" }]);
  });

  it("a read that is never answered ends at its deadline", async () => {
    const job = await insertOne();
    proxy.befall("StreamingRead", { kind: "silence" });
    await expect(store.getJobs([job])).rejects.toThrow(/no answer came in time/);
    expect(await store.getJobs([job])).toEqual([job]);
  });

  it("a session that is gone is replaced", async () => {
    const job = await insertOne();
    proxy.befall(
      "StreamingRead",
      { kind: "refuse", code: 5, message: "Session not found: projects/p/sessions/1" },
      2,
    );
    const made = proxy.count("CreateSession");
    expect(await store.getJobs([job])).toEqual([job]);
    expect(proxy.count("CreateSession")).toBe(made + 2);
  });
});

function hasSettled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([promise.then(() => true).catch(() => true), systemClock.yield().then(() => false)]);
}

/** Passes the time until a write is given up, and holds that it is told as one that may have happened. */
async function untilToldInDoubt(writing: Promise<unknown>, clock: ManualClock): Promise<void> {
  const told = expect(writing).rejects.toMatchObject({
    name: "UnavailableError",
    message: expect.stringContaining("whether the commit happened is not known"),
  });
  await until(
    () => hasSettled(writing),
    () => passWhileWaiting(clock, 1_000),
  );
  await told;
}

/** Time passes only while somebody waits for it: else a slow answer would count as hours, and its operation as too late. */
async function passWhileWaiting(clock: ManualClock, ms: number): Promise<void> {
  if (clock.pending > 0) await clock.advance(ms);
}

/** For what sockets bring: asks again after each `step`, a bounded number of times. */
async function until(holds: () => boolean | Promise<boolean>, step: () => Promise<void>): Promise<void> {
  for (let tries = 0; tries < 30_000; tries++) {
    if (await holds()) return;
    await step();
    await systemClock.sleep(2);
  }
  throw new Error("did not come to hold");
}
