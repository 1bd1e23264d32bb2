// Over 300 lines, because it is one text of rules: each is read beside those that it differs from.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  DEPLOYMENT,
  inventoried,
  never,
  OTHER_DEPLOYMENT,
  requestFor,
  trusted,
} from "#pkg/batch/conformance/harness.ts";
import { type BatchJobState, BatchPhase, type CreateRequest, ThrottledError } from "#pkg/batch/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import { QUEUE_MS, type RuledCloud, STOP_MS, type Trouble } from "./ruled-cloud.ts";

/** How long the programs of these rules run. */
const RUN_MS = 20_000;
const LAG_MS = 6_000;
const RETRY_AFTER_MS = 7_000;
/** Time enough for whatever a cloud does by itself with what it took in. */
const A_WHILE_MS = 1_000;

/** A request whose program runs for `RUN_MS` and then ends with this code; told in the words of both clouds. */
function ask(code = 0): CreateRequest {
  const script = `sleep ${RUN_MS / 1_000}; exit ${code}`;
  const labels = { runs_ms: String(RUN_MS), failures: String(code === 0 ? 0 : 9) };
  return requestFor({ entrypoint: "/bin/sh", commands: ["-c", script] }, { spec: { labels } });
}

/** What GCP Batch does, as the port tells of it: one text for every cloud that is said to follow its rules. */
export function describeGcpRules(name: string, open: () => Promise<RuledCloud> | RuledCloud): void {
  describe(`the rules of GCP Batch: ${name}`, () => {
    let cloud: RuledCloud;
    beforeEach(async () => {
      cloud = await open();
    });
    afterEach(() => cloud.close());

    const create = (request: CreateRequest, by = cloud.provider) =>
      cloud.answer(by.create(request, trusted()));
    const look = (request: CreateRequest) => cloud.answer(cloud.peer.look(request, never()));
    const terminate = ({ batchJobId }: CreateRequest, by = cloud.provider) =>
      cloud.answer(by.terminate(batchJobId, never()));
    const remove = ({ batchJobId }: CreateRequest, by = cloud.provider) =>
      cloud.answer(by.remove(batchJobId, trusted()));
    const inventory = (deploymentId = DEPLOYMENT) => cloud.answer(inventoried(cloud.peer, deploymentId));
    async function describeOne({ batchJobId }: CreateRequest): Promise<BatchJobState | undefined> {
      return (await cloud.answer(cloud.peer.describe([batchJobId], never()))).get(batchJobId);
    }

    /** A batch job that runs. */
    async function running(code = 0): Promise<CreateRequest> {
      const request = ask(code);
      expect(await create(request)).toMatchObject({ kind: "accepted", adopted: false });
      await cloud.pass(QUEUE_MS);
      return request;
    }

    async function ended(code = 0): Promise<CreateRequest> {
      const request = await running(code);
      await cloud.pass(RUN_MS);
      return request;
    }

    describe("a name", () => {
      it("is taken by the first create; the same again adopts, whoever asks and however it goes on", async () => {
        const request = ask();
        expect(await create(request)).toMatchObject({
          kind: "accepted",
          adopted: false,
          state: { batchJobId: request.batchJobId, phase: BatchPhase.Queued },
        });
        const adopted = { kind: "accepted", adopted: true };
        expect(await create(request, cloud.peer)).toMatchObject(adopted);
        await cloud.pass(QUEUE_MS);
        expect(await create(request)).toMatchObject({ ...adopted, state: { phase: BatchPhase.Running } });
        await cloud.pass(RUN_MS);
        expect(await create(request)).toMatchObject({ ...adopted, state: { phase: BatchPhase.Succeeded } });
        expect(cloud.made(request.batchJobId)).toBe(1);
      });

      it("asked for by many at once is given to one", async () => {
        const request = ask();
        const outcomes = await Promise.all(
          Array.from({ length: 6 }, (_, index) => create(request, index % 2 ? cloud.peer : cloud.provider)),
        );
        expect(outcomes.filter((each) => each.kind === "accepted" && !each.adopted)).toHaveLength(1);
        expect(outcomes.filter((each) => each.kind === "accepted" && each.adopted)).toHaveLength(5);
        expect(cloud.made(request.batchJobId)).toBe(1);
      });

      it.each<[string, Partial<CreateRequest>]>([
        ["deployment", { deploymentId: OTHER_DEPLOYMENT }],
        ["tenant", { tenantId: "tenant-b" }],
      ])("of another %s is rejected, and looks foreign", async (_, other) => {
        const request = ask();
        await create(request);
        const foreign = { ...request, ...other };
        expect(await create(foreign)).toMatchObject({ kind: "rejected", reason: "NAME_TAKEN" });
        expect(await look(foreign)).toMatchObject({ kind: "foreign" });
        expect(await look(request)).toMatchObject({ kind: "found" });
        expect(cloud.made(request.batchJobId)).toBe(1);
      });

      it("stays taken after a termination", async () => {
        const request = await running();
        await terminate(request);
        await cloud.pass(STOP_MS + A_WHILE_MS);
        const state = { phase: BatchPhase.Cancelled };
        expect(await create(request)).toMatchObject({ kind: "accepted", adopted: true, state });
        expect(cloud.made(request.batchJobId)).toBe(1);
      });

      it("is free again after a removal", async () => {
        const request = await ended();
        await remove(request);
        await cloud.pass(A_WHILE_MS);
        expect(await create(request)).toMatchObject({ kind: "accepted", adopted: false });
        expect(cloud.made(request.batchJobId)).toBe(2);
      });

      it("that cannot be read for a while is taken all the same, and adopted when it can", async () => {
        const request = await running();
        cloud.hide(request.batchJobId, 5_000);
        expect(await describeOne(request)).toBeUndefined();
        expect(await create(request)).toMatchObject({ kind: "unknown" });
        await cloud.pass(5_000);
        expect(await create(request)).toMatchObject({ kind: "accepted", adopted: true });
        expect(await describeOne(request)).toMatchObject({ phase: BatchPhase.Running });
        expect(cloud.made(request.batchJobId)).toBe(1);
      });
    });

    describe("a batch job", () => {
      it("queues, runs, and ends as its program does", async () => {
        const [good, bad] = [ask(), ask(1)];
        for (const request of [good, bad]) {
          await create(request);
          expect(await describeOne(request)).toMatchObject({
            phase: BatchPhase.Queued,
            startedAtMs: undefined,
            endedAtMs: undefined,
          });
        }
        await cloud.pass(QUEUE_MS);
        expect(await describeOne(good)).toMatchObject({
          phase: BatchPhase.Running,
          startedAtMs: expect.any(Number),
          endedAtMs: undefined,
        });
        await cloud.pass(RUN_MS);
        expect(await describeOne(good)).toMatchObject({
          phase: BatchPhase.Succeeded,
          reason: undefined,
          endedAtMs: expect.any(Number),
        });
        expect(await describeOne(bad)).toMatchObject({
          phase: BatchPhase.Failed,
          reason: "EXIT_CODE",
          exitCode: 1,
          endedUnstarted: false,
        });
      });

      it("whose machine is taken away failed, and tells whether its program had started", async () => {
        const reclaimed = ask();
        cloud.destine(reclaimed, "reclaimed");
        await create(reclaimed);
        await cloud.pass(QUEUE_MS);
        await cloud.pass(RUN_MS);
        expect(await describeOne(reclaimed)).toMatchObject({
          phase: BatchPhase.Failed,
          reason: "SPOT_RECLAIMED",
          endedUnstarted: false,
        });
        const lost = ask();
        cloud.destine(lost, "lost unstarted");
        await create(lost);
        await cloud.pass(QUEUE_MS);
        expect(await describeOne(lost)).toMatchObject({
          phase: BatchPhase.Failed,
          reason: "HOST_LOST",
          startedAtMs: undefined,
          endedUnstarted: true,
        });
      });

      it("that vanished is in no answer, and ending it is harmless", async () => {
        const request = ask();
        cloud.destine(request, "vanishes");
        await create(request);
        expect(await describeOne(request)).toBeDefined();
        await cloud.pass(QUEUE_MS);
        await cloud.pass(RUN_MS / 2);
        expect(await describeOne(request)).toBeUndefined();
        expect(await look(request)).toEqual({ kind: "absent" });
        expect(await inventory()).not.toContain(request.batchJobId);
        await terminate(request);
      });
    });

    describe("a termination", () => {
      it("is taken in at once, shows as STOPPING, and comes into effect a little later", async () => {
        const request = await running();
        await terminate(request);
        expect(await describeOne(request)).toMatchObject({ phase: BatchPhase.Stopping });
        await cloud.pass(STOP_MS + A_WHILE_MS);
        const state = await describeOne(request);
        expect(state).toMatchObject({ phase: BatchPhase.Cancelled, endedAtMs: expect.any(Number) });
        await cloud.pass(RUN_MS);
        expect(await describeOne(request)).toEqual(state);
      });

      it("before the start leaves what never started", async () => {
        const request = ask();
        await create(request);
        await terminate(request);
        await cloud.pass(QUEUE_MS + STOP_MS);
        expect(await describeOne(request)).toMatchObject({
          phase: BatchPhase.Cancelled,
          startedAtMs: undefined,
        });
      });

      it("again, of what has ended, or of what never was changes nothing", async () => {
        const request = await running();
        await Promise.all([terminate(request), terminate(request, cloud.peer)]);
        await terminate(request);
        await cloud.pass(STOP_MS + A_WHILE_MS);
        expect(await describeOne(request)).toMatchObject({ phase: BatchPhase.Cancelled });
        const over = await ended();
        const before = await describeOne(over);
        await terminate(over);
        await cloud.pass(STOP_MS + A_WHILE_MS);
        expect(await describeOne(over)).toEqual(before);
        const nothing = ask();
        await terminate(nothing);
        expect(await look(nothing)).toEqual({ kind: "absent" });
      });
    });

    describe("a removal", () => {
      it("of what has not ended is refused, and it runs on", async () => {
        const request = await running();
        const refused = { constructor: UnavailableError, reason: "NOT_ENDED" };
        await expect(remove(request)).rejects.toMatchObject(refused);
        await terminate(request);
        await expect(remove(request)).rejects.toMatchObject(refused);
        expect(await describeOne(request)).toMatchObject({ phase: BatchPhase.Stopping });
      });

      it("of what has ended leaves nothing, for nobody", async () => {
        const request = await ended();
        await remove(request, cloud.peer);
        expect(await describeOne(request)).toBeUndefined();
        expect(await look(request)).toEqual({ kind: "absent" });
        expect(await inventory()).not.toContain(request.batchJobId);
      });

      it("again, or of what never was, is done already", async () => {
        const request = await ended();
        await Promise.all([remove(request), remove(request, cloud.peer)]);
        await cloud.pass(A_WHILE_MS);
        await remove(request);
        await remove(ask());
      });
    });

    describe("an inventory", () => {
      it("tells what has not ended of its deployment, and nothing else", async () => {
        const over = await ended();
        const stopped = await running();
        await terminate(stopped);
        await cloud.pass(STOP_MS + A_WHILE_MS);
        const [live, queued] = [await running(), ask()];
        await create(queued);
        const foreign = { ...ask(), deploymentId: OTHER_DEPLOYMENT };
        await create(foreign);
        const ids = await inventory();
        expect([...ids].sort()).toEqual([live.batchJobId, queued.batchJobId].sort());
        expect([...(await inventory(OTHER_DEPLOYMENT))]).toEqual([foreign.batchJobId]);
        expect(ids).not.toContain(over.batchJobId);
      });

      it("may lag behind; a create is never made twice for that, nor anything told that is not so", async () => {
        cloud.lagLists(LAG_MS);
        const request = ask();
        await create(request);
        expect(await inventory()).not.toContain(request.batchJobId);
        expect([undefined, BatchPhase.Queued]).toContain((await describeOne(request))?.phase);
        expect(await create(request, cloud.peer)).toMatchObject({ kind: "accepted", adopted: true });
        await cloud.pass(LAG_MS);
        expect(await inventory()).toContain(request.batchJobId);
        expect(await describeOne(request)).toMatchObject({ phase: BatchPhase.Running });
        expect(cloud.made(request.batchJobId)).toBe(1);
      });
    });

    describe("trouble", () => {
      it("throttled, a create is refused for now and made nothing", async () => {
        const request = ask();
        cloud.befall("create", { kind: "throttled", retryAfterMs: RETRY_AFTER_MS });
        expect(await create(request)).toMatchObject({
          kind: "refused",
          retryAfterMs: RETRY_AFTER_MS,
          holdsUp: "calls",
        });
        expect(cloud.made(request.batchJobId)).toBe(0);
        expect(await create(request)).toMatchObject({ kind: "accepted", adopted: false });
      });

      it("rejected, a create made nothing and leaves the name free", async () => {
        const request = ask();
        cloud.befall("create", { kind: "rejected" });
        expect(await create(request)).toMatchObject({ kind: "rejected" });
        expect(cloud.made(request.batchJobId)).toBe(0);
        expect(await create(request)).toMatchObject({ kind: "accepted", adopted: false });
      });

      it.each<[Trouble["kind"], number]>([
        ["failed before", 0],
        ["failed after", 1],
      ])("%s, a create is unknown, and asking again tells what there is", async (kind, made) => {
        const request = ask();
        cloud.befall("create", { kind } as Trouble);
        expect(await create(request)).toMatchObject({ kind: "unknown" });
        expect(cloud.made(request.batchJobId)).toBe(made);
        expect(await create(request)).toMatchObject({ kind: "accepted", adopted: made === 1 });
        expect(cloud.made(request.batchJobId)).toBe(1);
      });

      it.each<[Trouble["kind"], number]>([
        ["request lost", 0],
        ["reply lost", 1],
      ])(
        "%s, a create is unknown when its time is over, and asking again tells what there is",
        async (kind, made) => {
          const request = ask();
          cloud.befall("create", { kind } as Trouble);
          const giveUp = new AbortController();
          const permit = { ...trusted(), signal: giveUp.signal };
          const outcome = cloud.provider.create(request, permit);
          await cloud.struck();
          giveUp.abort(new Error("the trust is over"));
          expect(await cloud.answer(outcome)).toMatchObject({ kind: "unknown" });
          expect(cloud.made(request.batchJobId)).toBe(made);
          expect(await create(request)).toMatchObject({ kind: "accepted", adopted: made === 1 });
          expect(cloud.made(request.batchJobId)).toBe(1);
        },
      );

      it("throttled, whatever else is asked is unavailable, says when to come again, and did nothing", async () => {
        const request = await running();
        const throttled = { kind: "throttled", retryAfterMs: RETRY_AFTER_MS } as const;
        const unavailable = { constructor: ThrottledError, retryAfterMs: RETRY_AFTER_MS };
        const calls = {
          look: () => look(request),
          describe: () => describeOne(request),
          terminate: () => terminate(request),
          remove: () => remove(request),
          inventory: () => inventory(),
        } as const;
        for (const [name, call] of Object.entries(calls)) {
          cloud.befall(name as keyof typeof calls, throttled);
          await expect(call(), name).rejects.toMatchObject(unavailable);
        }
        expect(await describeOne(request)).toMatchObject({ phase: BatchPhase.Running });
      });

      it("a termination that failed before or after it was done is unavailable, and may be asked again", async () => {
        for (const kind of ["failed before", "failed after"] as const) {
          const request = await running();
          cloud.befall("terminate", { kind });
          await expect(terminate(request)).rejects.toBeInstanceOf(UnavailableError);
          await terminate(request);
          await cloud.pass(STOP_MS + A_WHILE_MS);
          expect(await describeOne(request), kind).toMatchObject({ phase: BatchPhase.Cancelled });
        }
      });
    });
  });
}
