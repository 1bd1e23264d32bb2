import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CreatePhase, isTerminal, JobStatus } from "#pkg/job/index.ts";
import { jobRow } from "#test/support/rows.ts";
import {
  decide,
  firstKnowledge,
  isInDoubt,
  type Knowledge,
  LOOK_INTERVAL_MS,
  TERMINATE_INTERVAL_MS,
} from "./decide.ts";

const now = { monotonicMs: 100_000, wallMs: 1_000_000 };
const known = (changes: Partial<Knowledge> = {}): Knowledge => ({
  ...firstKnowledge(jobRow(), 0, true),
  ...changes,
});
const refusal = { reason: "BAD_IMAGE", message: "no such image" };
const begun = jobRow({ createPhase: CreatePhase.Begun });
const cancelledBegun = jobRow({ createPhase: CreatePhase.Begun, cancelRequestedAtMs: 1 });
const running = { status: JobStatus.Running, createPhase: CreatePhase.Confirmed };

describe("a new owner", () => {
  it("is in doubt about a create that may have begun, unless it made the row itself", () => {
    expect(firstKnowledge(begun, 0, false).doubt).toBe(true);
    expect(firstKnowledge(begun, 0, true).doubt).toBe(false);
    expect(firstKnowledge(jobRow(), 0, false).doubt).toBe(false);
  });
});

describe("the table, without doubt", () => {
  it.each([
    ["a committed attempt is created", jobRow(), known(), "create"],
    ["a create that this owner knows was not sent is sent", begun, known(), "create"],
    ["an attempt that is not due waits", jobRow({ dueAtMs: now.wallMs + 1 }), known(), "wait"],
    ["an attempt that is due is created", jobRow({ dueAtMs: now.wallMs }), known(), "create"],
    ["a cancel before any create ends it", jobRow({ cancelRequestedAtMs: 1 }), known(), "cancel"],
    [
      "a cancel does not wait until the job is due",
      jobRow({ cancelRequestedAtMs: 1, dueAtMs: 2_000_000 }),
      known(),
      "cancel",
    ],
    ["a refusal fails it", begun, known({ refusal }), "fail"],
    ["a running one is watched", jobRow(running), known(), "watch"],
    [
      "a cancel of a running one terminates it",
      jobRow({ ...running, cancelRequestedAtMs: 1 }),
      known(),
      "terminate",
    ],
    [
      "one that was told to end is watched",
      jobRow({ ...running, cancelRequestedAtMs: 1 }),
      known({ terminatedAtMs: now.monotonicMs }),
      "watch",
    ],
    [
      "one that goes on all the same is told again",
      jobRow({ ...running, cancelRequestedAtMs: 1 }),
      known({ terminatedAtMs: now.monotonicMs - TERMINATE_INTERVAL_MS }),
      "terminate",
    ],
    ["a terminal one is forgotten", jobRow({ status: JobStatus.Completed }), known(), "forget"],
    [
      "a deleted one is removed",
      jobRow({ status: JobStatus.Failed, deleteRequestedAtMs: 1 }),
      known(),
      "remove",
    ],
    [
      "a deleted one waits until settled",
      jobRow({ status: JobStatus.Failed, deleteRequestedAtMs: 1 }),
      known({ settledAtMs: 100_001 }),
      "wait",
    ],
  ] as const)("%s", (_, job, knowledge, step) => {
    expect(decide(job, knowledge, true, now).kind).toBe(step);
    expect(decide(job, knowledge, false, now).kind).toBe(step);
  });
});

describe("the table, in doubt", () => {
  const doubt = known({ doubt: true, settledAtMs: 150_000 });
  const absentAt = (absentLookAtMs: number) => known({ doubt: true, settledAtMs: 150_000, absentLookAtMs });

  it.each([
    ["where creating settles it, it is created again", begun, doubt, true, "create"],
    ["also with a cancel requested: that takes the name", cancelledBegun, doubt, true, "create"],
    ["after a refusal it is looked for, even there", begun, { ...doubt, refusal }, true, "look"],
    ["where creating does not settle it, it is looked for", begun, doubt, false, "look"],
    ["also with a cancel requested", cancelledBegun, doubt, false, "look"],
    ["a look that found nothing is repeated later", begun, absentAt(now.monotonicMs), false, "wait"],
    ["and again after a while", begun, absentAt(now.monotonicMs - LOOK_INTERVAL_MS), false, "look"],
    ["a look begun before it was settled proves nothing", begun, absentAt(149_999), false, "wait"],
    ["one begun after does: it is created", begun, absentAt(150_000), false, "create"],
    ["or cancelled", cancelledBegun, absentAt(150_000), false, "cancel"],
    ["or failed", begun, { ...absentAt(150_000), refusal }, true, "fail"],
  ] as const)("%s", (_, job, knowledge, idempotent, step) => {
    expect(decide(job, knowledge, idempotent, now).kind).toBe(step);
  });

  it("no step ends an active job while there is doubt", () => {
    const arbitrary = fc.record({
      status: fc.constantFrom(...Object.values(JobStatus).filter((status) => !isTerminal(status))),
      createPhase: fc.constantFrom(...Object.values(CreatePhase)),
      cancelRequestedAtMs: fc.option(fc.nat(), { nil: undefined }),
      dueAtMs: fc.option(fc.nat(2_000_000), { nil: undefined }),
      settledAtMs: fc.nat(200_000),
      absentLookAtMs: fc.option(fc.nat(200_000), { nil: undefined }),
      refused: fc.boolean(),
      idempotent: fc.boolean(),
    });
    fc.assert(
      fc.property(arbitrary, (c) => {
        const job = jobRow({
          status: c.status,
          createPhase: c.createPhase,
          cancelRequestedAtMs: c.cancelRequestedAtMs,
          dueAtMs: c.dueAtMs,
        });
        const knowledge = known({
          doubt: true,
          settledAtMs: c.settledAtMs,
          absentLookAtMs: c.absentLookAtMs,
          refusal: c.refused ? refusal : undefined,
        });
        fc.pre(isInDoubt(knowledge));
        expect(["cancel", "fail", "forget", "remove"]).not.toContain(
          decide(job, knowledge, c.idempotent, now).kind,
        );
      }),
    );
  });
});
