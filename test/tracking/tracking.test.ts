import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  type BatchJobState,
  type BatchProvider,
  createCallBudget,
  ThrottledError,
} from "#pkg/batch/index.ts";
import { createManualClock, createSeededEntropy, systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import { batchJobIdOf, type Job } from "#pkg/job/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createInventory, createTracker } from "#pkg/tracking/index.ts";
import { type OwnerUnderTest, startOwner } from "#test/dispatch/owner.ts";
import { newJob } from "#test/support/new-job.ts";
import { eventually } from "#test/support/node-process.ts";
import { batchState } from "#test/support/rows.ts";

const never = new AbortController().signal;
const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });

let owner: OwnerUnderTest;
beforeEach(async () => {
  owner = await startOwner();
});
afterEach(() => owner.stop());

describe("the inventory", () => {
  /** Has the provider run a batch job of this name, whatever the store says of its job. */
  async function run(jobId: string, attempt: number): Promise<string> {
    const { deploymentId } = await owner.store.meta();
    const batchJobId = batchJobIdOf(deploymentId, jobId, attempt);
    const { spec } = newJob();
    const outcome = await owner.provider.create(
      {
        batchJobId,
        deploymentId,
        tenantId: "tenant",
        jobId,
        attempt,
        spec: { ...spec, entrypoint: "/bin/sleep", commands: ["60"] },
        env: {},
      },
      { assertTrusted: () => undefined, signal: never },
    );
    expect(outcome.kind).toBe("accepted");
    return batchJobId;
  }

  async function insert(changes: Partial<Job>): Promise<string> {
    const job = newJob({ target: owner.provider.target, ...changes });
    await owner.store.insertJobs([job]);
    return job.jobId;
  }

  async function phaseOf(id: string): Promise<string | undefined> {
    return (await owner.provider.describe([id], never)).get(id)?.phase;
  }

  it("ends what runs on after its job was over, at a later attempt or deleted, and nothing else", async () => {
    const { deploymentId } = await owner.store.meta();
    const mine = { owner: { workerId: "me", term: 1 } };
    const cancelled = await run(await insert({ ...mine, status: "CANCELLED" }), 1);
    const earlier = await run(
      await insert({ ...mine, status: "RUNNING", attempt: 2, createPhase: "CONFIRMED" }),
      1,
    );
    const current = await run(await insert({ ...mine, status: "RUNNING", createPhase: "CONFIRMED" }), 1);
    const unknown = await run(newJob().jobId, 1);
    const deletedJob = await insert({ ...mine, status: "FAILED" });
    const left = await owner.store.leaveRequest({ tenantId: "tenant", jobId: deletedJob }, "delete", {
      actor: "me",
      atMs: 1,
    });
    if (left.kind !== "left") throw new Error("a finished job can be deleted");
    const far = systemClock.nowMs() + 60_000;
    const gone = {
      tenantId: "tenant",
      jobId: deletedJob,
      version: left.job.version,
      atMs: 1,
      keyUntilMs: far,
    };
    await owner.store.deleteJob({ ...gone, ...mine, tombstoneUntilMs: far });
    const deleted = await run(deletedJob, 1);

    const inventory = createInventory({
      store: owner.store,
      clock: systemClock,
      entropy: systemEntropy,
      log,
      deploymentId,
      targets: [
        {
          provider: owner.provider,
          budget: createCallBudget({
            clock: systemClock,
            entropy: systemEntropy,
            callsPerSecond: () => 1_000,
          }),
        },
      ],
      isMine: () => true,
    });
    await inventory.start();
    for (const id of [cancelled, earlier, deleted]) {
      await eventually(
        () => phaseOf(id),
        (phase) => phase === "CANCELLED",
      );
    }
    await inventory.stop();
    expect([await phaseOf(current), await phaseOf(unknown)]).toEqual(["RUNNING", "RUNNING"]);
    for (const id of [current, unknown]) await owner.provider.terminate(id, never);
  });

  it("has all calls to the target rest when the cloud asks for fewer", async () => {
    const clock = createManualClock();
    const entropy = createSeededEntropy(1);
    const budget = createCallBudget({ clock, entropy, callsPerSecond: () => 1_000 });
    const provider: BatchProvider = {
      ...owner.provider,
      // biome-ignore lint/correctness/useYield: it is throttled before its first page.
      async *inventory() {
        throw new ThrottledError("SLOWER", "too many", { retryAfterMs: 5_000 });
      },
    };
    const { deploymentId } = await owner.store.meta();
    const targets = [{ provider, budget }];
    const inventory = createInventory({
      ...{ store: owner.store, clock, entropy, log, deploymentId, targets },
      isMine: () => true,
    });
    await inventory.start();
    await clock.advance(1_000);
    let isTaken = false;
    void budget.take(never).then(() => {
      isTaken = true;
    });
    await clock.advance(3_999);
    expect(isTaken).toBe(false);
    await clock.advance(1_300);
    expect(isTaken).toBe(true);
    await inventory.stop();
  });
});

describe("the tracker", () => {
  /** Watches one batch job that the provider never had, on a clock of the test. */
  async function watchMissing(describeInstead?: BatchProvider["describe"]) {
    const clock = createManualClock();
    const entropy = createSeededEntropy(1);
    const told: (BatchJobState | "lost")[] = [];
    let asked = 0;
    const describe_ = describeInstead ?? (async () => new Map());
    const tracker = createTracker({
      clock,
      entropy,
      log,
      targets: [
        {
          provider: {
            ...owner.provider,
            describe(ids, signal) {
              asked += 1;
              return describe_(ids, signal);
            },
          },
          budget: createCallBudget({ clock, entropy, callsPerSecond: () => 1_000 }),
        },
      ],
      onObserved: (_jobId, _batchJobId, state) => told.push(state),
    });
    await tracker.start();
    tracker.watch({ jobId: "job", target: owner.provider.target, batchJobId: "b", sinceMs: clock.nowMs() });
    return { clock, tracker, told, asked: () => asked };
  }

  /** Watches so many batch jobs, `b0` and on, a few a question, on a clock of the test. */
  async function watchMany(count: number, maxDescribe: number, describe_: BatchProvider["describe"]) {
    const clock = createManualClock();
    const entropy = createSeededEntropy(1);
    const { target, capabilities } = owner.provider;
    const provider = {
      ...owner.provider,
      capabilities: { ...capabilities, maxDescribe },
      describe: describe_,
    };
    const budget = createCallBudget({ clock, entropy, callsPerSecond: () => 1_000 });
    const told = new Set<string>();
    const onObserved = (jobId: string) => void told.add(jobId);
    const tracker = createTracker({ clock, entropy, log, targets: [{ provider, budget }], onObserved });
    await tracker.start();
    for (let index = 0; index < count; index += 1) {
      tracker.watch({ jobId: `j${index}`, target, batchJobId: `b${index}`, sinceMs: clock.nowMs() });
    }
    return { clock, tracker, told };
  }

  it("missing is not failed: it is lost only after several misses and a minimum age", async () => {
    const { clock, tracker, told, asked } = await watchMissing();
    await clock.advance(119_000);
    expect(asked()).toBeGreaterThan(5);
    expect(told).toEqual([]);
    await clock.advance(31_000);
    expect(told[0]).toBe("lost");
    await tracker.stop();
  });

  it("one that could not be read is neither missing nor over, however long", async () => {
    const { clock, tracker, told } = await watchMissing(
      async (ids) => new Map(ids.map((id) => [id, undefined])),
    );
    await clock.advance(3_600_000);
    expect(told).toEqual([]);
    await tracker.stop();
  });

  it("a question that comes to nothing keeps nobody from the others of its round", async () => {
    let bad: readonly string[] | undefined;
    const { clock, tracker, told } = await watchMany(4, 1, async (ids) => {
      bad ??= ids;
      if (bad.join() === ids.join()) throw new UnavailableError("DOWN", "no answer");
      return new Map(ids.map((id) => [id, batchState({ batchJobId: id })]));
    });
    await clock.advance(1_010);
    expect(told.size).toBe(3);
    await tracker.stop();
  });

  it("many questions that come to nothing neither end every round nor stay the first of it", async () => {
    const { clock, tracker, told } = await watchMany(12, 1, async (ids) => {
      if (!ids.includes("b11")) throw new UnavailableError("DOWN", "no answer");
      return new Map([["b11", batchState({ batchJobId: "b11" })]]);
    });
    await clock.advance(60_000);
    expect([...told]).toEqual(["j11"]);
    await tracker.stop();
  });

  it("a throttled question rests the next ones as well", async () => {
    const askedAtMs: number[] = [];
    const { clock, tracker } = await watchMany(2, 1, async () => {
      askedAtMs.push(clock.monotonicMs());
      throw new ThrottledError("SLOWER", "too many", { retryAfterMs: 5_000 });
    });
    await clock.advance(20_000);
    const [first = 0, second = 0] = askedAtMs;
    expect(second - first).toBeGreaterThanOrEqual(5_000);
    await tracker.stop();
  });

  it("what was told is told again when a look is asked for, and not otherwise", async () => {
    const state = batchState({ batchJobId: "b" });
    const { clock, tracker, told } = await watchMissing(async () => new Map([["b", state]]));
    await clock.advance(60_000);
    expect(told).toEqual([state]);
    tracker.lookSoon("job");
    await clock.advance(60_000);
    expect(told).toEqual([state, state]);
    await tracker.stop();
  });

  it("slow is not dead: a cloud that does not answer changes nothing, however long, and is asked less often", async () => {
    const { clock, tracker, told, asked } = await watchMissing(() =>
      Promise.reject(new UnavailableError("DOWN", "no answer")),
    );
    await clock.advance(3_600_000);
    expect(told).toEqual([]);
    expect(asked()).toBeLessThan(300);
    await tracker.stop();
  });
});
