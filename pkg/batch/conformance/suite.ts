/**
 * The promises of the batch port, one case each, in one list: longer than a file should be, because a case is read beside
 * those that it differs from.
 */
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import {
  BatchPhase,
  type BatchProvider,
  type CreateOutcome,
  hasEnded,
  TrustLapsedError,
} from "#pkg/batch/index.ts";
import {
  type BatchHandle,
  type BatchHarness,
  DEPLOYMENT,
  eventually,
  inventoried,
  lapsed,
  never,
  OTHER_DEPLOYMENT,
  requestFor,
  trusted,
} from "./harness.ts";

export type { BatchHandle, BatchHarness, Work } from "./harness.ts";

const ENDED = ({ phase }: { phase: BatchPhase }) => hasEnded(phase);
const RUNS = ({ phase }: { phase: BatchPhase }) => phase === BatchPhase.Running;

/** Values that a shell, a JSON encoder or an env file would each bend in its own way. */
const ODD_ENV = {
  EMPTY: "",
  SPACES: "  two  leading and trailing  ",
  NEWLINES: "one\ntwo\r\nthree\n",
  QUOTES: `'single' "double" \`back\` \\backslash\\`,
  DOLLARS: "$HOME $(id) $$ %PATH% !history",
  EQUALS: "a=b=c==",
  GLOBS: "* ? [a-z] ~ {a,b}",
  UNICODE: "héllo wörld ☃ 🚀 日本",
  CONTROL: "\u0001\u001b[31m\u007f\t",
  lower_case: "kept",
  LONG: "x".repeat(20_000),
};
const ODD_ARGUMENTS = [
  "",
  " ",
  "-n",
  "--",
  "a b",
  "*",
  "$HOME",
  "'\"`\\",
  "new\nline\n",
  "☃ 🚀",
  "=",
  "x".repeat(10_000),
];

/** Runs every promise of the port against what `open` makes. */
export function describeBatchProvider(name: string, open: () => Promise<BatchHarness>): void {
  describe(`batch provider: ${name}`, () => {
    let harness: BatchHarness;
    const handles: BatchHandle[] = [];
    const provider = (index = 0): BatchProvider => {
      const handle = handles[index];
      if (handle === undefined) throw new Error("the harness did not open");
      return handle.provider;
    };

    beforeAll(async () => {
      harness = await open();
      handles.push(await harness.open(), await harness.open());
    });
    afterAll(async () => {
      for (const handle of handles) await handle.close();
      await harness?.close();
    });

    const exits = (code: number) => requestFor(harness.program({ kind: "exit", code }));
    const runsForever = () => requestFor(harness.program({ kind: "forever" }));
    const needsIdempotentCreate = (context: TestContext) =>
      context.skip(
        !provider().capabilities.createIsIdempotent,
        "a second create makes a second batch job here; a doubt is settled by look",
      );

    describe("create", () => {
      test("one create is one batch job, which runs once and ends", async () => {
        const request = exits(0);
        const outcome = await provider().create(request, trusted());
        expect(outcome).toMatchObject({
          kind: "accepted",
          adopted: false,
          state: { batchJobId: request.batchJobId },
        });
        const end = await eventually(provider(), request.batchJobId, ENDED);
        expect(end).toMatchObject({ phase: BatchPhase.Succeeded, reason: undefined, endedUnstarted: false });
        expect(await harness.starts(request.batchJobId)).toBe(1);
      });

      test("the same create again adopts, from another handle and after the end", async (context) => {
        needsIdempotentCreate(context);
        const request = exits(0);
        await provider().create(request, trusted());
        expect(await provider(1).create(request, trusted())).toMatchObject({
          kind: "accepted",
          adopted: true,
        });
        await eventually(provider(), request.batchJobId, ENDED);
        expect(await provider(1).create(request, trusted())).toMatchObject({
          kind: "accepted",
          adopted: true,
          state: { phase: BatchPhase.Succeeded },
        });
        expect(await harness.starts(request.batchJobId)).toBe(1);
      });

      test("the same create twenty times at once is one batch job, made by one of them", async (context) => {
        needsIdempotentCreate(context);
        const request = exits(0);
        const calls = Array.from({ length: 20 }, (_, call) => provider(call % 2).create(request, trusted()));
        const outcomes = await Promise.all(calls);
        expect(outcomes.map(({ kind }) => kind)).toEqual(Array(20).fill("accepted"));
        expect(outcomes.filter((each) => each.kind === "accepted" && !each.adopted)).toHaveLength(1);
        await eventually(provider(), request.batchJobId, ENDED);
        expect(await harness.starts(request.batchJobId)).toBe(1);
      });

      test("a create after the termination adopts what was terminated", async (context) => {
        needsIdempotentCreate(context);
        const request = runsForever();
        await provider().create(request, trusted());
        await provider().terminate(request.batchJobId, never());
        await eventually(provider(), request.batchJobId, ENDED);
        expect(await provider().create(request, trusted())).toMatchObject({
          kind: "accepted",
          adopted: true,
          state: { phase: BatchPhase.Cancelled },
        });
        expect(await harness.starts(request.batchJobId)).toBeLessThanOrEqual(1);
      });

      test.each([
        ["deployment", { deploymentId: OTHER_DEPLOYMENT }],
        ["tenant", { tenantId: "tenant-b" }],
      ])("a name that is another %s's is not adopted", async (_, other) => {
        const request = exits(0);
        await provider().create(request, trusted());
        const foreign = { ...request, ...other };
        expect(await provider(1).look(foreign, never())).toMatchObject({ kind: "foreign" });
        if (provider().capabilities.createIsIdempotent) {
          const outcome: CreateOutcome = await provider(1).create(foreign, trusted());
          expect(outcome.kind).toBe("rejected");
        }
        await eventually(provider(), request.batchJobId, ENDED);
        expect(await harness.starts(request.batchJobId)).toBe(1);
      });

      test("without trust nothing is made", async () => {
        const request = exits(0);
        await expect(provider().create(request, lapsed())).rejects.toThrow(TrustLapsedError);
        expect(await provider().look(request, never())).toEqual({ kind: "absent" });
        expect((await provider().describe([request.batchJobId], never())).size).toBe(0);
        expect(await harness.starts(request.batchJobId)).toBe(0);
      });

      test("a create whose time has run out does not reject", async () => {
        const request = exits(0);
        const permit = { ...trusted(), signal: AbortSignal.abort(new Error("deadline")) };
        const outcome = await provider().create(request, permit);
        expect(["unknown", "refused"]).toContain(outcome.kind);
      });
    });

    describe("look and describe", () => {
      test("a look finds the batch job by its exact name, and nothing by another", async () => {
        const request = exits(0);
        await provider().create(request, trusted());
        expect(await provider(1).look(request, never())).toMatchObject({
          kind: "found",
          state: { batchJobId: request.batchJobId },
        });
        const longer = { ...request, batchJobId: `${request.batchJobId}0` };
        expect(await provider(1).look(longer, never())).toEqual({ kind: "absent" });
      });

      test("describe tells what it knows and leaves out what it does not", async () => {
        const [known, unknown] = [exits(0), exits(0)];
        await provider().create(known, trusted());
        const states = await provider(1).describe([unknown.batchJobId, known.batchJobId], never());
        expect([...states.keys()]).toEqual([known.batchJobId]);
        expect((await provider().describe([], never())).size).toBe(0);
      });

      test("describe takes as many ids as it says", async () => {
        const known = exits(0);
        await provider().create(known, trusted());
        const strangers = Array.from(
          { length: provider().capabilities.maxDescribe - 1 },
          () => exits(0).batchJobId,
        );
        const states = await provider().describe([...strangers, known.batchJobId], never());
        expect([...states.keys()]).toEqual([known.batchJobId]);
      });

      test.each([1, 2, 77, 126, 127, 255])("exit code %i is told as it is, as a failure", async (code) => {
        const request = exits(code);
        await provider().create(request, trusted());
        const end = await eventually(provider(), request.batchJobId, ENDED);
        expect(end).toMatchObject({ phase: BatchPhase.Failed, exitCode: code, endedUnstarted: false });
        expect(end.reason).toMatch(/^[A-Z][A-Z0-9_]*$/);
        expect(end.message).not.toBe("");
      });

      test("an end stays what it is, and its moments are in order", async () => {
        const request = exits(0);
        await provider().create(request, trusted());
        const end = await eventually(provider(), request.batchJobId, ENDED);
        await provider().terminate(request.batchJobId, never());
        expect((await provider(1).describe([request.batchJobId], never())).get(request.batchJobId)).toEqual(
          end,
        );
        if (end.startedAtMs === undefined || end.endedAtMs === undefined) return;
        expect(end.startedAtMs).toBeLessThanOrEqual(end.endedAtMs);
      });
    });

    describe("what the program gets", () => {
      test("arguments arrive exactly", async (context) => {
        if (!harness.observed)
          return context.skip("the target cannot tell what its program was started with");
        const request = requestFor(harness.program({ kind: "echo", arguments: ODD_ARGUMENTS }));
        await provider().create(request, trusted());
        await eventually(provider(), request.batchJobId, ENDED);
        expect((await harness.observed(request.batchJobId)).arguments).toEqual(ODD_ARGUMENTS);
      });

      test("environment values arrive exactly", async (context) => {
        if (!harness.observed)
          return context.skip("the target cannot tell what its program was started with");
        const request = requestFor(harness.program({ kind: "echo", arguments: [] }), { env: ODD_ENV });
        expect(provider().validate(request.spec)).toEqual([]);
        await provider().create(request, trusted());
        await eventually(provider(), request.batchJobId, ENDED);
        expect((await harness.observed(request.batchJobId)).env).toMatchObject(ODD_ENV);
      });

      test("the run-time limit ends it", async () => {
        const spec = { resourceOverride: { maxRunDurationSeconds: 1 } };
        const request = requestFor(harness.program({ kind: "forever" }), { spec });
        await provider().create(request, trusted());
        const end = await eventually(provider(), request.batchJobId, ENDED);
        expect(end).toMatchObject({ phase: BatchPhase.Failed, reason: "TIMEOUT" });
      });
    });

    describe("terminate", () => {
      test("a running batch job ends as cancelled", async () => {
        const request = runsForever();
        await provider().create(request, trusted());
        await eventually(provider(), request.batchJobId, RUNS);
        await provider(1).terminate(request.batchJobId, never());
        const end = await eventually(provider(), request.batchJobId, ENDED);
        expect(end.phase).toBe(BatchPhase.Cancelled);
      });

      test("one that has not started never does", async (context) => {
        if (!harness.createUnstarted) return context.skip("nothing can be held before its start here");
        const request = exits(0);
        await harness.createUnstarted(request);
        await provider().terminate(request.batchJobId, never());
        expect((await eventually(provider(), request.batchJobId, ENDED)).phase).toBe(BatchPhase.Cancelled);
        const again = await provider(1).create(request, trusted());
        expect(again).toMatchObject({
          kind: "accepted",
          adopted: true,
          state: { phase: BatchPhase.Cancelled },
        });
        expect(await harness.starts(request.batchJobId)).toBe(0);
      });

      test("many times at once is harmless", async () => {
        const request = runsForever();
        await provider().create(request, trusted());
        const calls = Array.from({ length: 10 }, (_, call) =>
          provider(call % 2).terminate(request.batchJobId, never()),
        );
        await Promise.all(calls);
        expect((await eventually(provider(), request.batchJobId, ENDED)).phase).toBe(BatchPhase.Cancelled);
      });

      test("one that never was is left so", async () => {
        const request = exits(0);
        await provider().terminate(request.batchJobId, never());
        expect(await provider().look(request, never())).toEqual({ kind: "absent" });
      });
    });

    describe("remove", () => {
      test("what has ended is gone, for every handle", async () => {
        const request = exits(0);
        await provider().create(request, trusted());
        await eventually(provider(), request.batchJobId, ENDED);
        await provider(1).remove(request.batchJobId, trusted());
        expect(await provider().look(request, never())).toEqual({ kind: "absent" });
        expect((await provider().describe([request.batchJobId], never())).size).toBe(0);
      });

      test("what is gone, or never was, counts as removed", async () => {
        const request = exits(0);
        await provider().remove(request.batchJobId, trusted());
        await provider().create(request, trusted());
        await eventually(provider(), request.batchJobId, ENDED);
        await Promise.all([1, 2, 3].map(() => provider().remove(request.batchJobId, trusted())));
        await provider(1).remove(request.batchJobId, trusted());
      });

      test("without trust nothing is removed", async () => {
        const request = exits(0);
        await provider().create(request, trusted());
        await eventually(provider(), request.batchJobId, ENDED);
        await expect(provider().remove(request.batchJobId, lapsed())).rejects.toThrow(TrustLapsedError);
        expect(await provider().look(request, never())).toMatchObject({ kind: "found" });
      });
    });

    describe("inventory", () => {
      test("it lists what has not ended of its deployment, and nothing else", async () => {
        const [running, ended] = [runsForever(), exits(0)];
        await provider().create(running, trusted());
        await provider().create(ended, trusted());
        await eventually(provider(), ended.batchJobId, ENDED);
        const ids = await inventoried(provider(1), DEPLOYMENT);
        expect(ids).toContain(running.batchJobId);
        expect(ids).not.toContain(ended.batchJobId);
        expect(await inventoried(provider(), OTHER_DEPLOYMENT)).not.toContain(running.batchJobId);
        await provider().terminate(running.batchJobId, never());
        await eventually(provider(), running.batchJobId, ENDED);
        expect(await inventoried(provider(), DEPLOYMENT)).not.toContain(running.batchJobId);
      });
    });

    describe("the target", () => {
      test("every handle names the same one", () => {
        expect(provider().target).toBe(provider(1).target);
        expect(provider().target).toMatch(/^(gcp|aws|azure|local)(\/[^/]+){2,3}$/);
      });

      test("a plain spec can be honoured", () => {
        expect(provider().validate(exits(0).spec)).toEqual([]);
      });

      test("its limits are such that a caller can work with them", () => {
        const { maxDescribe, maxConcurrentCreates, maxCallsPerSecond, requestOutlivesMs } =
          provider().capabilities;
        expect(maxDescribe).toBeGreaterThanOrEqual(1);
        expect(maxConcurrentCreates).toBeGreaterThanOrEqual(1);
        expect(maxCallsPerSecond).toBeGreaterThan(0);
        expect(requestOutlivesMs).toBeGreaterThanOrEqual(0);
      });
    });
  });
}
