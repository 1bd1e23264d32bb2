import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { never, OTHER_DEPLOYMENT, requestFor, trusted } from "#pkg/batch/conformance/harness.ts";
import { type Permit, TrustLapsedError } from "#pkg/batch/index.ts";
import type { Misbehaviour } from "#test/clouds/gcp/misbehaviour.ts";
import { eventually } from "#test/support/node-process.ts";
import { openWorld, providerAt, startCloud, type World } from "./harness.ts";

const SLEEPS = { entrypoint: "/bin/sleep", commands: ["300"] };

let world: World;
beforeEach(async () => {
  world = await openWorld();
  await world.provider.start();
});
afterEach(() => world.close());

/** How many CreateJob requests the cloud saw. */
const creates = () => world.cloud.calls.filter(({ method }) => method === "CreateJob").length;

describe("a create is one request", () => {
  it.each<[string, Misbehaviour]>([
    [
      "5xx after the work",
      { method: "CreateJob", after: { status: "UNAVAILABLE", words: "gone" }, times: 10 },
    ],
    [
      "5xx before the work",
      { method: "CreateJob", before: { status: "INTERNAL", words: "gone" }, times: 10 },
    ],
  ])("whatever comes back: %s", async (_, misbehaviour) => {
    world.cloud.misbehave(misbehaviour);
    expect((await world.provider.create(requestFor(SLEEPS), trusted())).kind).toBe("unknown");
    expect(creates()).toBe(1);
  });

  it("a lost answer is settled by creating again, which adopts", async () => {
    world.cloud.misbehave({
      method: "CreateJob",
      after: { status: "UNAVAILABLE", words: "the answer is lost" },
    });
    const request = requestFor(SLEEPS);
    expect((await world.provider.create(request, trusted())).kind).toBe("unknown");
    expect(await world.provider.create(request, trusted())).toMatchObject({
      kind: "accepted",
      adopted: true,
    });
    expect(world.cloud.made(request.batchJobId)).toBe(1);
  });

  it.each<[string, Misbehaviour]>([
    ["comes after a minute", { method: "CreateJob", delayMs: 60_000 }],
    ["never comes", { method: "CreateJob", silent: true }],
  ])("an answer that %s is not waited for beyond the permit", async (_, misbehaviour) => {
    world.cloud.misbehave(misbehaviour);
    const request = requestFor(SLEEPS);
    const deadline = new AbortController();
    const outcome = world.provider.create(request, { ...trusted(), signal: deadline.signal });
    await eventually(
      () => world.cloud.made(request.batchJobId),
      (made) => made === 1,
    );
    deadline.abort(new Error("the trust ends"));
    expect(await outcome).toEqual({ kind: "unknown", cause: new Error("the trust ends") });
    expect(await world.provider.create(request, trusted())).toMatchObject({
      kind: "accepted",
      adopted: true,
    });
  });

  it("every create of an attempt carries the same request id, and every other attempt another", async () => {
    const request = requestFor(SLEEPS);
    const next = { ...request, attempt: 2, batchJobId: request.batchJobId.replace(/1$/, "2") };
    for (const each of [request, request, next]) await world.provider.create(each, trusted());
    const ids = world.cloud.calls
      .filter(({ method }) => method === "CreateJob")
      .map((call) => (call.request as { requestId: string }).requestId);
    expect(ids[0]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(ids[1]).toBe(ids[0]);
    expect(ids[2]).not.toBe(ids[0]);
  });
});

describe("a name that is taken", () => {
  const again = { method: "CreateJob", after: { status: "UNAVAILABLE", words: "lost" } } as const;

  it("by what cannot be read now stays a doubt", async () => {
    const request = requestFor(SLEEPS);
    world.cloud.misbehave(again);
    await world.provider.create(request, trusted());
    world.cloud.hide(request.batchJobId, 60_000);
    expect((await world.provider.create(request, trusted())).kind).toBe("unknown");
    expect(world.cloud.made(request.batchJobId)).toBe(1);
  });

  it("while the cloud does not answer the question whose it is stays a doubt", async () => {
    const request = requestFor(SLEEPS);
    await world.provider.create(request, trusted());
    world.cloud.misbehave({ method: "GetJob", before: { status: "UNAVAILABLE", words: "later" } });
    expect((await world.provider.create(request, trusted())).kind).toBe("unknown");
  });

  it("by what is being deleted is rejected as removed", async () => {
    const slow = await openWorld({ cloud: { delays: { deleteMs: 60_000 } } });
    await slow.provider.start();
    const request = requestFor({ entrypoint: "", commands: ["exit 0"] });
    await slow.provider.create(request, trusted());
    slow.cloud.fail(request.batchJobId, { exitCode: 1 });
    await slow.provider.remove(request.batchJobId, trusted());
    expect(await slow.provider.create(request, trusted())).toMatchObject({
      kind: "rejected",
      reason: "NAME_REMOVED",
    });
    expect((await slow.provider.describe([request.batchJobId], never())).size).toBe(0);
    await slow.close();
  });

  it.each([
    ["deployment", { deploymentId: OTHER_DEPLOYMENT }],
    ["tenant", { tenantId: "tenant-b" }],
  ])("is not another %s's for having been answered under the same request id", async (_, other) => {
    const lenient = await openWorld({ cloud: { repeats: "FIRST_ANSWER" } });
    await lenient.provider.start();
    const request = requestFor(SLEEPS);
    await lenient.provider.create(request, trusted());
    expect(await lenient.provider.create(request, trusted())).toMatchObject({ kind: "accepted" });
    expect(await lenient.provider.create({ ...request, ...other }, trusted())).toMatchObject({
      kind: "rejected",
      reason: "NAME_TAKEN",
    });
    expect(lenient.cloud.made(request.batchJobId)).toBe(1);
    await lenient.close();
  });
});

describe("trust", () => {
  it("is looked at when the connection stands, as the last thing before the request leaves", async () => {
    const cloud = await startCloud();
    const provider = providerAt(cloud.endpoint);
    await provider.start();
    let looks = 0;
    const callsAtLook: number[] = [];
    const permit: Permit = {
      ...trusted(),
      assertTrusted() {
        looks += 1;
        callsAtLook.push(cloud.calls.filter(({ method }) => method === "CreateJob").length);
      },
    };
    await provider.create(requestFor(SLEEPS), permit);
    expect([looks, callsAtLook]).toEqual([1, [0]]);

    // Without a cloud to connect to, nobody is asked for trust: nothing is about to leave.
    await cloud.stop();
    const unreachable = await eventually(
      async () => {
        looks = 0;
        return await provider.create(requestFor(SLEEPS), permit);
      },
      // The connection's end may not have come through yet; then a request left.
      ({ kind }) => kind === "refused",
    );
    expect(unreachable).toMatchObject({ reason: "PROVIDER_UNREACHABLE" });
    expect(looks).toBe(0);
    await provider.stop();
  });

  it("that lapsed keeps a create and a removal from leaving", async () => {
    const request = requestFor({ entrypoint: "", commands: ["exit 0"] });
    const lapsed: Permit = {
      ...trusted(),
      assertTrusted() {
        throw new TrustLapsedError();
      },
    };
    await expect(world.provider.create(request, lapsed)).rejects.toThrow(TrustLapsedError);
    await world.provider.create(request, trusted());
    world.cloud.fail(request.batchJobId, { exitCode: 1 });
    await expect(world.provider.remove(request.batchJobId, lapsed)).rejects.toThrow(TrustLapsedError);
    expect(world.cloud.calls.map(({ method }) => method)).not.toContain("DeleteJob");
    expect(creates()).toBe(1);
  });
});

describe("secrets", () => {
  it("go to the cloud as references, and never as values", async () => {
    const reference = "projects/p/secrets/db-password/versions/latest";
    const request = requestFor(SLEEPS, { env: { PLAIN: "value", PASSWORD: `secret://${reference}` } });
    expect((await world.provider.create(request, trusted())).kind).toBe("accepted");
    const sent = world.cloud.calls.find(({ method }) => method === "CreateJob")?.request as {
      job: { taskGroups: { taskSpec: { environment: object } }[] };
    };
    expect(sent.job.taskGroups[0]?.taskSpec.environment).toMatchObject({
      variables: { PLAIN: "value" },
      secretVariables: { PASSWORD: reference },
    });
  });

  it("that are malformed end the job, with the variable's name and without its value", async () => {
    const request = requestFor(SLEEPS, { env: { PASSWORD: "secret://hunter2" } });
    const outcome = await world.provider.create(request, trusted());
    expect(outcome).toMatchObject({ kind: "rejected", reason: "INVALID_SECRET_REFERENCE" });
    expect(JSON.stringify(outcome)).toContain("PASSWORD");
    expect(JSON.stringify(outcome)).not.toContain("hunter2");
    expect(creates()).toBe(0);
  });
});
