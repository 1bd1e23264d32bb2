import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isLost, restMs } from "./schedule.ts";

describe("how often a batch job is looked at", () => {
  it("between a second and half a minute, seldomer as it ages", () => {
    expect(restMs(0, 0)).toBe(1_000);
    expect(restMs(60_000, 0)).toBe(6_000);
    expect(restMs(3_600_000, 0)).toBe(30_000);
    fc.assert(
      fc.property(fc.nat(), fc.double({ min: 0, max: 0.999, noNaN: true }), (age, uniform) => {
        expect(restMs(age, uniform)).toBeGreaterThanOrEqual(900);
        expect(restMs(age, uniform)).toBeLessThanOrEqual(30_000);
      }),
    );
  });
});

describe("lost", () => {
  it("needs several misses and a minimum age", () => {
    expect(isLost(4, 3_600_000)).toBe(false);
    expect(isLost(100, 119_999)).toBe(false);
    expect(isLost(5, 120_000)).toBe(true);
  });
});
