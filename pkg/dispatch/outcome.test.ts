import { describe, expect, it } from "vitest";
import { createSeededEntropy } from "#pkg/clock/index.ts";
import { CreatePhase, JobStatus } from "#pkg/job/index.ts";
import { batchState, jobRow } from "#test/support/rows.ts";
import { firstKnowledge } from "./decide.ts";
import { afterCreate, afterObservation, MAX_UNSTARTED_ATTEMPTS, RETRY_BACKOFF } from "./outcome.ts";

const begun = jobRow({ createPhase: CreatePhase.Begun });
const sure = firstKnowledge(begun, 0, true);
const inDoubt = { ...sure, doubt: true, settledAtMs: 1_000 };
const NOW = 50_000;

describe("after a create", () => {
  it("accepted confirms it, with or without doubt", () => {
    for (const known of [sure, inDoubt]) {
      const write = afterCreate(begun, known, { kind: "accepted", adopted: false, state: batchState() }, 0);
      expect(write?.changes).toMatchObject({
        status: "RUNNING",
        createPhase: "CONFIRMED",
        providerJobId: "p-1",
      });
    }
  });

  it("a refusal for good fails it only without doubt", () => {
    const outcome = { kind: "rejected", reason: "BAD", message: "bad" } as const;
    expect(afterCreate(begun, sure, outcome, 0)?.changes).toMatchObject({
      status: "FAILED",
      error: { reason: "BAD" },
    });
    expect(afterCreate(begun, inDoubt, outcome, 0)).toBeUndefined();
  });

  it("a refusal for now takes the doubt back only where there was none before", () => {
    const outcome = {
      kind: "refused",
      reason: "QUOTA",
      message: "full",
      retryAfterMs: undefined,
      holdsUp: "target",
    } as const;
    expect(afterCreate(begun, sure, outcome, 9)?.changes).toEqual({
      createPhase: "INTENDED",
      waitReason: "QUOTA",
      dueAtMs: 9,
    });
    expect(afterCreate(begun, inDoubt, outcome, 9)?.changes).toMatchObject({
      createPhase: "BEGUN",
      waitReason: "QUOTA",
    });
  });

  it("unknown is neither: the job stays PENDING, in doubt, and says so once", () => {
    const outcome = { kind: "unknown", cause: new Error("reset") } as const;
    const write = afterCreate(begun, sure, outcome, 0);
    expect(write?.changes).toEqual({ createPhase: "BEGUN", waitReason: "UNCONFIRMED" });
    expect(afterCreate({ ...begun, waitReason: "UNCONFIRMED" }, inDoubt, outcome, 0)).toBeUndefined();
  });
});

describe("after an observation", () => {
  const running = { status: JobStatus.Running, createPhase: CreatePhase.Confirmed, startedAtMs: 1_000 };
  const observe = (job: ReturnType<typeof jobRow>, state: Parameters<typeof batchState>[0]) =>
    afterObservation(job, batchState(state), NOW, createSeededEntropy(1))?.changes;
  const withRetries = (maxRetries: number, changes = {}) =>
    jobRow({ ...running, spec: { ...jobRow().spec, maxRetries }, ...changes });

  it("what the row says already is not written", () => {
    expect(observe(jobRow(running), {})).toBeUndefined();
    expect(
      observe(jobRow({ ...running, startedAtMs: undefined }), { phase: "QUEUED", startedAtMs: undefined }),
    ).toBeUndefined();
  });

  it("the start is written once", () => {
    expect(observe(jobRow({ ...running, startedAtMs: undefined }), {})).toEqual({
      startedAtMs: 1_000,
      providerState: "running",
    });
  });

  it("what it waits for in the cloud is written once, and taken back when it waits no more or has started", () => {
    const queued = jobRow({ ...running, startedAtMs: undefined });
    const waits = { phase: "QUEUED", startedAtMs: undefined, reason: "QUOTA", message: "no room" } as const;
    expect(afterObservation(queued, batchState(waits), NOW, createSeededEntropy(1))).toEqual({
      changes: { waitReason: "QUOTA", providerState: "running" },
      event: { type: "WAITING", reason: "QUOTA: no room" },
    });
    const waiting = { ...queued, waitReason: "QUOTA" };
    expect(observe(waiting, waits)).toBeUndefined();
    for (const state of [{ ...waits, reason: undefined }, {}, { phase: "SUCCEEDED" } as const]) {
      expect(observe(waiting, state)).toHaveProperty("waitReason", undefined);
    }
  });

  it("success completes it, also when a cancel came too late", () => {
    const done = { phase: "SUCCEEDED", exitCode: 0, endedAtMs: 2_000 } as const;
    expect(observe(jobRow(running), done)).toMatchObject({ status: "COMPLETED", completedAtMs: 2_000 });
    expect(observe(jobRow({ ...running, cancelRequestedAtMs: 1 }), done)).toMatchObject({
      status: "COMPLETED",
    });
  });

  it("any other end after a cancel request is CANCELLED, with no further attempt", () => {
    for (const phase of ["FAILED", "CANCELLED"] as const) {
      expect(observe(withRetries(5, { cancelRequestedAtMs: 1 }), { phase })).toMatchObject({
        status: "CANCELLED",
      });
    }
  });

  it("a cancel that did not come through Jennah fails it, with no further attempt", () => {
    expect(observe(withRetries(5), { phase: "CANCELLED" })).toMatchObject({
      status: "FAILED",
      error: { reason: "CANCELLED_IN_CLOUD" },
    });
  });

  it("a failure begins the next attempt until max_retries are used", () => {
    const failure = { phase: "FAILED", reason: "EXIT_CODE", exitCode: 3 } as const;
    expect(observe(withRetries(2), failure)).toMatchObject({
      status: "PENDING",
      attempt: 2,
      createPhase: "INTENDED",
    });
    expect(observe(withRetries(2, { attempt: 2 }), failure)).toMatchObject({ status: "PENDING", attempt: 3 });
    expect(observe(withRetries(2, { attempt: 3 }), failure)).toMatchObject({
      status: "FAILED",
      error: { reason: "EXIT_CODE", exitCode: 3 },
    });
  });

  it("the next attempt is due after a backoff and carries nothing of the last", () => {
    const changes = observe(withRetries(1, { providerJobId: "p-1" }), { phase: "FAILED" });
    expect(changes?.dueAtMs).toBeGreaterThanOrEqual(NOW + RETRY_BACKOFF.initialMs / 2);
    expect(changes).toMatchObject({ providerJobId: undefined, startedAtMs: undefined });
    expect(changes).not.toHaveProperty("completedAtMs");
  });

  it("an end before the program started uses up no retry, up to a bound", () => {
    const unstarted = { phase: "FAILED", reason: "SPOT_RECLAIMED", endedUnstarted: true } as const;
    expect(observe(withRetries(0), unstarted)).toMatchObject({ attempt: 2, unstartedAttempts: 1 });
    const bound = { attempt: MAX_UNSTARTED_ATTEMPTS + 1, unstartedAttempts: MAX_UNSTARTED_ATTEMPTS };
    expect(observe(withRetries(0, bound), unstarted)).toMatchObject({ status: "FAILED" });
    expect(observe(withRetries(1, bound), unstarted)).toMatchObject({
      status: "PENDING",
      unstartedAttempts: MAX_UNSTARTED_ATTEMPTS,
    });
  });

  it("one that the provider lost begins no new attempt", () => {
    expect(observe(withRetries(5), { phase: "FAILED", reason: "PROVIDER_LOST" })).toMatchObject({
      status: "FAILED",
    });
  });
});
