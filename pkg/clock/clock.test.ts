import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  backoffMs,
  createManualClock,
  createSeededEntropy,
  elapsedBothMs,
  instantOf,
  systemClock,
  withTimeout,
} from "./index.ts";

describe("systemClock", () => {
  it("a sleep ends with its signal's reason, before and during", async () => {
    const reason = new Error("enough");
    await expect(systemClock.sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const sleeping = systemClock.sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });
});

describe("manual clock", () => {
  it("fires what falls due in order of time, including what that sets up", async () => {
    const clock = createManualClock();
    const seen: string[] = [];
    clock.timer(30, () => seen.push("timer 30"));
    const sleeper = clock.sleep(10).then(async () => {
      seen.push("slept 10");
      await clock.sleep(10);
      seen.push("slept 20");
    });
    await clock.advance(25);
    expect(seen).toEqual(["slept 10", "slept 20"]);
    await clock.advance(5);
    expect(seen).toEqual(["slept 10", "slept 20", "timer 30"]);
    await sleeper;
    expect(clock.pending).toBe(0);
  });

  it("a suspended machine is seen on the wall clock", async () => {
    const clock = createManualClock();
    const since = instantOf(clock);
    await clock.advance(5);
    clock.jumpWall(1_000);
    expect(elapsedBothMs(clock, since)).toBe(1_005);
    clock.jumpWall(-5_000);
    expect(elapsedBothMs(clock, since)).toBe(5);
  });
});

describe("withTimeout", () => {
  it("aborts the work with the given error, and leaves no timer behind", async () => {
    const clock = createManualClock();
    const late = new Error("late");
    const call = withTimeout(
      clock,
      100,
      () => late,
      (signal) => clock.sleep(1_000, signal),
    );
    const outcome = expect(call).rejects.toBe(late);
    await clock.advance(100);
    await outcome;
    await withTimeout(
      clock,
      100,
      () => late,
      async () => "done",
    );
    expect(clock.pending).toBe(0);
  });
});

describe("backoff", () => {
  it("stays between half of the grown wait and the whole, and never above the longest", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer(), (failures, seed) => {
        const policy = { initialMs: 100, maxMs: 30_000, factor: 2 };
        const grown = Math.min(policy.maxMs, policy.initialMs * 2 ** (failures - 1));
        const wait = backoffMs(policy, failures, createSeededEntropy(seed));
        expect(wait).toBeGreaterThanOrEqual(grown / 2);
        expect(wait).toBeLessThanOrEqual(grown);
      }),
    );
  });
});
