import { describe, expect, it } from "vitest";
import { textOf } from "./kernel/trace.ts";
import { ALL, runSeed } from "./search/run-seed.ts";
import { drawSetting, ENV_MARKER } from "./world/setting.ts";
import { runWorld } from "./world/world.ts";

describe("a simulated world", () => {
  it("is the same for the same seed, byte for byte, and tells no env value", async () => {
    for (const seed of [1, 2, 3, 100]) {
      const once = await runSeed(seed, ALL, true);
      const again = await runSeed(seed, ALL, true);
      expect(once.trace.lines.length).toBeGreaterThan(100);
      expect(textOf(again.trace)).toBe(textOf(once.trace));
      expect(textOf(once.trace)).not.toContain(ENV_MARKER);
      expect(again.struck).toEqual(once.struck);
    }
  });

  it("is the same on the model and on SQLite's own operations, as long as no commit is slow", async () => {
    for (const seed of [4, 5, 6, 7, 8, 9, 10, 11]) {
      const setting = drawSetting(seed);
      const odds = new Map([...setting.odds].filter(([fault]) => fault !== "store slow to commit"));
      const run = (store: "model" | "sqlite") =>
        runWorld({ setting: { ...setting, odds, store }, allows: ALL, keepsTrace: true });
      expect(textOf((await run("sqlite")).trace)).toBe(textOf((await run("model")).trace));
    }
  });
});
