import { describe, expect, it } from "vitest";
import { createManualClock, createSeededEntropy } from "#pkg/clock/index.ts";
import { createCreateGate } from "./create-gate.ts";

const never = new AbortController().signal;

function gateOf(places: number) {
  const clock = createManualClock();
  return { clock, gate: createCreateGate({ clock, entropy: createSeededEntropy(1), places }) };
}

describe("the gate before creates", () => {
  it("lets a bounded number in, the others by priority and then in order", async () => {
    const { clock, gate } = gateOf(1);
    const leave = await gate.enter(5, never);
    const seen: string[] = [];
    for (const [name, priority] of [
      ["first 5", 5],
      ["second 5", 5],
      ["9", 9],
      ["0", 0],
    ] as const) {
      void gate.enter(priority, never).then((out) => {
        seen.push(name);
        out();
      });
    }
    await clock.advance(0);
    expect(seen).toEqual([]);
    leave();
    leave();
    await clock.advance(0);
    expect(seen).toEqual(["9", "first 5", "second 5", "0"]);
  });

  it("lets nobody in while the target backs off, and everybody after", async () => {
    const { clock, gate } = gateOf(10);
    expect(gate.refused(5_000)).toBe(clock.nowMs() + 5_000);
    let entered = false;
    void gate.enter(5, never).then(() => {
      entered = true;
    });
    await clock.advance(4_999);
    expect(entered).toBe(false);
    expect(gate.isBackingOff).toBe(true);
    await clock.advance(1);
    expect(entered).toBe(true);
    expect(gate.isBackingOff).toBe(false);
  });

  it("a timer that fires before the clock says so strands nobody", async () => {
    const manual = createManualClock();
    const early = {
      ...manual,
      timer: (ms: number, callback: () => void) => manual.timer(ms > 1 ? ms - 1 : ms, callback),
    };
    const gate = createCreateGate({ clock: early, entropy: createSeededEntropy(1), places: 1 });
    gate.refused(5_000);
    let entered = false;
    void gate.enter(5, never).then(() => {
      entered = true;
    });
    await manual.advance(5_010);
    expect(entered).toBe(true);
  });

  it("who gives up waiting takes no place", async () => {
    const { gate } = gateOf(1);
    const leave = await gate.enter(5, never);
    const controller = new AbortController();
    const waiting = gate.enter(5, controller.signal);
    controller.abort(new Error("woken"));
    await expect(waiting).rejects.toThrow("woken");
    leave();
    await gate.enter(5, never);
  });
});
