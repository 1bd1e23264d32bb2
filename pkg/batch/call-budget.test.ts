import { describe, expect, it } from "vitest";
import { createManualClock, createSeededEntropy } from "#pkg/clock/index.ts";
import { createCallBudget } from "./index.ts";

const never = new AbortController().signal;

describe("call budget", () => {
  it("spaces calls by the rate, however many ask at once", async () => {
    const clock = createManualClock();
    const budget = createCallBudget({ clock, entropy: createSeededEntropy(1), callsPerSecond: () => 10 });
    let taken = 0;
    for (let i = 0; i < 50; i += 1) void budget.take(never).then(() => taken++);
    await clock.advance(1_000);
    expect(taken).toBe(11);
  });

  it("has the next calls wait for requests that left without a token, and those for none", async () => {
    const clock = createManualClock();
    const budget = createCallBudget({ clock, entropy: createSeededEntropy(1), callsPerSecond: () => 10 });
    await budget.take(never);
    for (let request = 0; request < 30; request += 1) budget.spend();
    let taken = false;
    void budget.take(never).then(() => {
      taken = true;
    });
    await clock.advance(3_099);
    expect(taken).toBe(false);
    await clock.advance(1);
    expect(taken).toBe(true);
  });

  it("rests at least as long as the cloud asked for, and then goes on", async () => {
    const clock = createManualClock();
    const budget = createCallBudget({ clock, entropy: createSeededEntropy(1), callsPerSecond: () => 1_000 });
    budget.throttled(5_000);
    let taken = false;
    const call = budget.take(never).then(() => {
      taken = true;
    });
    await clock.advance(4_999);
    expect(taken).toBe(false);
    await clock.advance(1_251);
    await call;
    expect(taken).toBe(true);
  });

  it("rests longer each time where the cloud names no time, until it answers again", async () => {
    const clock = createManualClock();
    const budget = createCallBudget({ clock, entropy: createSeededEntropy(1), callsPerSecond: () => 1_000 });
    const restOfNextMs = async () => {
      const before = clock.monotonicMs();
      budget.throttled(undefined);
      const taken = budget.take(never).then(() => clock.monotonicMs() - before);
      await clock.advance(60_000);
      return taken;
    };
    const rests: number[] = [];
    for (let time = 0; time < 6; time += 1) rests.push(await restOfNextMs());
    expect(rests.at(-1)).toBeGreaterThan(10_000);
    budget.answered();
    expect(await restOfNextMs()).toBeLessThanOrEqual(1_000);
  });

  it("a caller that gives up takes nothing", async () => {
    const clock = createManualClock();
    const budget = createCallBudget({ clock, entropy: createSeededEntropy(1), callsPerSecond: () => 1 });
    await budget.take(never);
    const controller = new AbortController();
    const call = budget.take(controller.signal);
    controller.abort(new Error("gone"));
    await expect(call).rejects.toThrow("gone");
    expect(clock.pending).toBe(0);
  });
});
