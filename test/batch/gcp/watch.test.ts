import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  DEPLOYMENT,
  eventually,
  inventoried,
  never,
  requestFor,
  trusted,
} from "#pkg/batch/conformance/harness.ts";
import { type BatchJobState, BatchPhase, ThrottledError } from "#pkg/batch/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import type { Failure } from "#test/clouds/gcp/jobs.ts";
import { openWorld, type World } from "./harness.ts";

const SLEEPS = { entrypoint: "/bin/sleep", commands: ["300"] };

let world: World;
beforeEach(async () => {
  world = await openWorld();
  await world.provider.start();
});
afterEach(() => world.close());

const calls = (method: string) => world.cloud.calls.filter((call) => call.method === method).length;
const runs = ({ phase }: BatchJobState) => phase === BatchPhase.Running;

/** A batch job that the cloud has. */
async function created(): Promise<string> {
  const request = requestFor(SLEEPS);
  expect((await world.provider.create(request, trusted())).kind).toBe("accepted");
  return request.batchJobId;
}

async function stateOf(batchJobId: string): Promise<BatchJobState | undefined> {
  return (await world.provider.describe([batchJobId], never())).get(batchJobId);
}

describe("why a batch job failed", () => {
  const quota =
    "Job gets non-retryable information Batch Error: code - CODE_GCE_QUOTA_EXCEEDED, description - Quota 'CPUS' exceeded.";
  const delayed =
    "Quota checking process decides to delay scheduling for the job x due to inadequate quotas [Quota: CPUS, limit: 8].";
  const stockout =
    "Batch Error: code - CODE_GCE_ZONE_RESOURCE_POOL_EXHAUSTED, description - no VM could be made.";
  const invalid =
    "Batch Error: code - CODE_GCE_INVALID_FIELD_VALUE, description - machine type x-1 was not found.";

  it.each<[string, "running" | "queued", Failure, Partial<BatchJobState>]>([
    [
      "its own exit code",
      "running",
      { exitCode: 3 },
      { reason: "EXIT_CODE", exitCode: 3, endedUnstarted: false },
    ],
    [
      "spot reclaimed before the start",
      "queued",
      { exitCode: 50001, words: " due to Spot VM preemption" },
      { reason: "SPOT_RECLAIMED", exitCode: undefined, endedUnstarted: true },
    ],
    [
      "spot reclaimed under way",
      "running",
      { exitCode: 50001, words: " due to Spot VM preemption" },
      { reason: "SPOT_RECLAIMED", exitCode: undefined, endedUnstarted: false },
    ],
    [
      "a machine that is not heard of any more",
      "running",
      { exitCode: 50002, words: " due to Batch no longer receives VM updates" },
      { reason: "HOST_LOST", exitCode: undefined, endedUnstarted: false },
    ],
    [
      "a machine that went before the start",
      "queued",
      { exitCode: 50002 },
      { reason: "HOST_LOST", endedUnstarted: true },
    ],
    [
      "a machine that restarted",
      "running",
      { exitCode: 50003 },
      { reason: "HOST_REBOOTED", endedUnstarted: false },
    ],
    ["a task that cannot be stopped", "running", { exitCode: 50004 }, { reason: "UNRESPONSIVE" }],
    [
      "the run-time limit",
      "running",
      { exitCode: 50005 },
      { reason: "TIMEOUT", exitCode: undefined, endedUnstarted: false },
    ],
    [
      "a machine made anew",
      "running",
      { exitCode: 50006 },
      { reason: "HOST_RECREATED", endedUnstarted: false },
    ],
    [
      "nothing that Batch would tell",
      "running",
      { exitCode: 50000 },
      { reason: "FAILED", exitCode: undefined },
    ],
    [
      "an image that cannot be pulled, in words",
      "running",
      { exitCode: 1, words: " due to failed to pull image registry.example/app:1" },
      { reason: "IMAGE_PULL_FAILED", endedUnstarted: false },
    ],
    [
      "a container that could not be made",
      "running",
      { exitCode: 125 },
      { reason: "CONTAINER_NOT_STARTED", exitCode: 125, endedUnstarted: false },
    ],
    [
      "quota",
      "queued",
      { words: quota },
      { reason: "QUOTA_EXCEEDED", exitCode: undefined, endedUnstarted: true },
    ],
    [
      "quota that it waited for in vain",
      "queued",
      { words: delayed },
      { reason: "QUOTA_EXCEEDED", exitCode: undefined, endedUnstarted: true },
    ],
    ["no capacity", "queued", { words: stockout }, { reason: "NO_CAPACITY", endedUnstarted: true }],
    [
      "a machine that does not exist",
      "queued",
      { words: invalid },
      { reason: "PROVISIONING_INVALID", endedUnstarted: false },
    ],
    ["nothing at all before the start", "queued", {}, { reason: "NOT_STARTED", endedUnstarted: true }],
  ])("%s", async (_, when, failure, expected) => {
    const request = requestFor(SLEEPS);
    if (when === "queued") world.cloud.hold(request.batchJobId);
    await world.provider.create(request, trusted());
    if (when === "running") await eventually(world.provider, request.batchJobId, runs);
    world.cloud.fail(request.batchJobId, failure);
    const end = await stateOf(request.batchJobId);
    expect(end).toMatchObject({ phase: BatchPhase.Failed, providerState: "FAILED", ...expected });
    // The cloud's own words, as far as it had any.
    if (failure.words !== undefined) expect(end?.message).toContain(failure.words.trim());
    if (when === "running") expect(end?.startedAtMs).toBeLessThanOrEqual(end?.endedAtMs ?? 0);
    else expect(end?.startedAtMs).toBeUndefined();
  });

  it("a machine reclaimed before the task ran on it is no start, though the job was RUNNING", async () => {
    const slow = await openWorld({ cloud: { delays: { assignMs: 600_000 } } });
    await slow.provider.start();
    const request = requestFor(SLEEPS);
    await slow.provider.create(request, trusted());
    await eventually(slow.provider, request.batchJobId, runs);
    slow.cloud.fail(request.batchJobId, { exitCode: 50001, words: " due to Spot Preemption" });
    expect(
      (await slow.provider.describe([request.batchJobId], never())).get(request.batchJobId),
    ).toMatchObject({ phase: BatchPhase.Failed, reason: "SPOT_RECLAIMED", endedUnstarted: true });
    await slow.close();
  });

  it("is asked of the task where the job does not tell, and is what it is where the task may not be read", async () => {
    const batchJobId = await created();
    await eventually(world.provider, batchJobId, runs);
    world.cloud.fail(batchJobId, {});
    world.cloud.deny("batch.tasks.get");
    expect(await stateOf(batchJobId)).toMatchObject({ phase: BatchPhase.Failed, reason: "FAILED" });
    expect(calls("GetTask")).toBe(1);
  });
});

describe("lists", () => {
  it("a hundred batch jobs are one question", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 100; index += 1) ids.push(await created());
    const before = world.cloud.calls.length;
    expect((await world.provider.describe(ids, never())).size).toBe(100);
    expect(world.cloud.calls.length - before).toBe(1);
  });

  it("every page of one is read, whatever size the cloud gives", async () => {
    const narrow = await openWorld({ cloud: { maxPage: 2 } });
    await narrow.provider.start();
    const requests = Array.from({ length: 5 }, () => requestFor(SLEEPS));
    for (const request of requests) await narrow.provider.create(request, trusted());
    const ids = requests.map(({ batchJobId }) => batchJobId);
    expect([...(await narrow.provider.describe(ids, never())).keys()].sort()).toEqual([...ids].sort());
    expect([...(await inventoried(narrow.provider, DEPLOYMENT))].sort()).toEqual([...ids].sort());
    await narrow.close();
  });

  it("that lag behind lose nothing: what they do not tell of is asked for by name", async () => {
    world.cloud.lagLists(600_000);
    const batchJobId = await created();
    expect(await stateOf(batchJobId)).toMatchObject({ batchJobId });
  });

  it("tell of the attempt that was asked for, and of no other of its job", async () => {
    const first = requestFor(SLEEPS);
    const second = { ...first, attempt: 2, batchJobId: first.batchJobId.replace(/1$/, "2") };
    await world.provider.create(first, trusted());
    await world.provider.create(second, trusted());
    const states = await world.provider.describe([second.batchJobId], never());
    expect([...states.keys()]).toEqual([second.batchJobId]);
  });

  it("that are denied are told of once, and each batch job is asked for by itself from then on", async () => {
    const ids = [await created(), await created()];
    world.cloud.deny("batch.jobs.list");
    for (let round = 0; round < 3; round += 1) {
      expect((await world.provider.describe(ids, never())).size).toBe(2);
    }
    expect(calls("ListJobs")).toBe(2);
    expect(world.provider.capabilities.maxDescribe).toBe(1);
    expect(world.lines.filter((line) => line.includes("batch.jobs.list is missing"))).toHaveLength(1);
    expect((await inventoried(world.provider, DEPLOYMENT)).size).toBe(0);
  });
});

describe("one batch job that cannot be read", () => {
  const told = (...ids: string[]) => world.provider.describe(ids, never());
  const good = (batchJobId: string) => [batchJobId, expect.objectContaining({ batchJobId })] as const;

  /** Failed, in words of the job alone that do not tell why. */
  async function failed(): Promise<string> {
    const batchJobId = await created();
    await eventually(world.provider, batchJobId, runs);
    world.cloud.fail(batchJobId, {});
    return batchJobId;
  }

  it.each(["INTERNAL", "UNAVAILABLE", "UNKNOWN", "DEADLINE_EXCEEDED", "ABORTED"] as const)(
    "its task answered with %s: it has not ended yet and is not missing, and the others are told of",
    async (status) => {
      const [bad, other] = [await failed(), await created()];
      world.cloud.misbehave({ method: "GetTask", before: { status, words: "oh" } });
      expect(await told(bad, other)).toEqual(new Map([[bad, undefined], good(other)]));
      expect(world.lines.filter((line) => line.includes("could not be read"))).toHaveLength(1);
      // Nothing of the end is lost to that.
      expect(await stateOf(bad)).toMatchObject({ phase: BatchPhase.Failed, reason: "FAILED" });
    },
  );

  it.each(["NOT_FOUND", "PERMISSION_DENIED", "INVALID_ARGUMENT", "FAILED_PRECONDITION"] as const)(
    "its task answered with %s, which will not change: it is failed all the same",
    async (status) => {
      const bad = await failed();
      world.cloud.misbehave({ method: "GetTask", before: { status, words: "no" } });
      expect(await stateOf(bad)).toMatchObject({ phase: BatchPhase.Failed, reason: "FAILED" });
    },
  );

  it("asked for by name, as a list lags: it is not missing, and the others are told of", async () => {
    const [bad, other] = [await created(), await created()];
    world.cloud.lagLists(600_000);
    world.cloud.misbehave({ method: "GetJob", job: bad, before: { status: "INTERNAL", words: "oh" } });
    expect(await told(bad, other)).toEqual(new Map([[bad, undefined], good(other)]));
  });

  it("because the cloud asks for fewer calls is told as such", async () => {
    const bad = await failed();
    world.cloud.misbehave({ method: "GetTask", before: { status: "RESOURCE_EXHAUSTED", words: "slower" } });
    await expect(told(bad)).rejects.toBeInstanceOf(ThrottledError);
  });

  it("where there are no lists and nothing was answered at all, the cloud does not answer", async () => {
    const bad = await created();
    world.cloud.deny("batch.jobs.list");
    world.cloud.misbehave({ method: "GetJob", before: { status: "UNAVAILABLE", words: "later" } });
    await expect(told(bad)).rejects.toBeInstanceOf(UnavailableError);
  });
});

describe("a cloud that does not answer", () => {
  it("NOT_FOUND for a while and a batch job that vanished look alike: it is not in the answer", async () => {
    const [hidden, vanished, there] = [await created(), await created(), await created()];
    world.cloud.hide(hidden, 60_000);
    world.cloud.vanish(vanished);
    const states = await world.provider.describe([hidden, vanished, there], never());
    expect([...states.keys()]).toEqual([there]);
  });

  it("says nothing about any batch job, and how long to wait where it tells", async () => {
    const batchJobId = await created();
    const refusals = [
      [{ status: "UNAVAILABLE", words: "later" }, undefined],
      [{ status: "INTERNAL", words: "oh" }, undefined],
      [{ status: "RESOURCE_EXHAUSTED", words: "slower", retryAfterMs: 7_000 }, 7_000, ThrottledError],
      // Without a time of its own a throttling still rests every call of the target, longer each time.
      [{ status: "RESOURCE_EXHAUSTED", words: "slower" }, undefined, ThrottledError],
      // Of a region that is not there nothing is known of what runs in it.
      [{ status: "NOT_FOUND", words: "Location us-central1 is not found" }, undefined],
    ] as const;
    for (const [before, retryAfterMs, kind = UnavailableError] of refusals) {
      world.cloud.misbehave({ method: "ListJobs", before });
      const error = await world.provider.describe([batchJobId], never()).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ constructor: kind, retryAfterMs });
    }
    const lost = {
      method: "GetJob",
      before: { status: "NOT_FOUND", words: "Location us-central1 is not found" },
    } as const;
    world.cloud.misbehave(lost);
    await expect(world.provider.look({ ...requestFor(SLEEPS), batchJobId }, never())).rejects.toThrow(
      UnavailableError,
    );
  });

  it("is not waited for beyond the signal", async () => {
    const batchJobId = await created();
    world.cloud.misbehave({ method: "ListJobs", silent: true });
    const ends = new AbortController();
    const asked = world.provider.describe([batchJobId], ends.signal);
    ends.abort(new UnavailableError("PROVIDER_TIMEOUT", "late"));
    await expect(asked).rejects.toThrow("late");
  });

  it("refuses above its rates, and tells so", async () => {
    const slow = await openWorld({ cloud: { rates: { mutations: 2, retryAfterMs: 30_000 } } });
    await slow.provider.start();
    const outcomes = [];
    for (let index = 0; index < 3; index += 1)
      outcomes.push(await slow.provider.create(requestFor(SLEEPS), trusted()));
    expect(outcomes.map(({ kind }) => kind)).toEqual(["accepted", "accepted", "refused"]);
    expect(outcomes[2]).toMatchObject({ reason: "RATE_LIMITED", retryAfterMs: 30_000 });
    await slow.close();
  });
});

describe("each request but the first is told, for the call budget", () => {
  type Told = (spend: () => void) => Promise<unknown>;
  /** Requests that were told, and those that came. */
  async function requestsOf(call: Told): Promise<{ told: number; came: number }> {
    const before = world.cloud.calls.length;
    let told = 0;
    await call(() => {
      told += 1;
    });
    return { told, came: world.cloud.calls.length - before };
  }

  it("of a question about many that lists do not tell of", async () => {
    const ids = [await created(), await created()];
    world.cloud.lagLists(600_000);
    for (const id of ids) world.cloud.fail(id, {});
    // A list, and of each its job and its task.
    const requests = await requestsOf((spend) => world.provider.describe(ids, never(), spend));
    expect(requests).toEqual({ told: 4, came: 5 });
  });

  it("of a create whose name is taken, of ending what has ended, of a removal", async () => {
    const request = requestFor(SLEEPS);
    await world.provider.create(request, trusted());
    const again = await requestsOf((spend) => world.provider.create(request, trusted(), spend));
    world.cloud.fail(request.batchJobId, { exitCode: 1 });
    const ended = await requestsOf((spend) => world.provider.terminate(request.batchJobId, never(), spend));
    const removed = await requestsOf((spend) => world.provider.remove(request.batchJobId, trusted(), spend));
    expect([again, ended, removed]).toEqual(Array(3).fill({ told: 1, came: 2 }));
  });

  it("and of an inventory each page, also one with nothing on it, comes by itself", async () => {
    const pages: number[] = [];
    for await (const page of world.provider.inventory(DEPLOYMENT, never())) pages.push(page.length);
    expect({ pages, lists: calls("ListJobs") }).toEqual({ pages: [0], lists: 2 });
  });
});

describe("ending", () => {
  it("is by cancel, and keeps the name", async () => {
    const batchJobId = await created();
    await world.provider.terminate(batchJobId, never());
    await eventually(world.provider, batchJobId, ({ phase }) => phase === BatchPhase.Cancelled);
    expect(calls("DeleteJob")).toBe(0);
    expect(world.cloud.jobs.map(({ id }) => id)).toContain(batchJobId);
  });

  it("what has ended is answered by the cloud with no, which is as good as yes", async () => {
    const batchJobId = await created();
    world.cloud.fail(batchJobId, { exitCode: 1 });
    await world.provider.terminate(batchJobId, never());
  });

  it("what the cloud refuses to end while it runs is told, and so is what it does not answer", async () => {
    const batchJobId = await created();
    await eventually(world.provider, batchJobId, runs);
    for (const status of ["FAILED_PRECONDITION", "UNAVAILABLE", "PERMISSION_DENIED"] as const) {
      world.cloud.misbehave({ method: "CancelJob", before: { status, words: "no" } });
      await expect(world.provider.terminate(batchJobId, never())).rejects.toThrow(UnavailableError);
    }
  });

  it("a running batch job is not removed", async () => {
    const batchJobId = await created();
    await expect(world.provider.remove(batchJobId, trusted())).rejects.toThrow("has not ended");
    expect(calls("DeleteJob")).toBe(0);
  });

  it("a removal whose answer was lost is done by the next", async () => {
    const batchJobId = await created();
    world.cloud.fail(batchJobId, { exitCode: 1 });
    world.cloud.misbehave({ method: "DeleteJob", after: { status: "UNAVAILABLE", words: "lost" } });
    await expect(world.provider.remove(batchJobId, trusted())).rejects.toThrow(UnavailableError);
    await world.provider.remove(batchJobId, trusted());
    expect(await stateOf(batchJobId)).toBeUndefined();
  });
});
