import { describe, expect, it } from "vitest";
import { runSeed } from "#test/simulation/search/run-seed.ts";
import { search } from "#test/simulation/search/search.ts";
import { checkBug } from "./arm.ts";
import { FOUND_BY } from "./found.ts";
import { BUGS } from "./table.ts";

describe("deliberate bugs", () => {
  it("have names of their own, and a seed each that finds them", () => {
    const names = BUGS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(Object.keys(FOUND_BY).toSorted()).toEqual(names.toSorted());
  });

  it.each(BUGS)("$name: what it replaces stands in the code once", (bug) => {
    expect(bug.patches.length).toBeGreaterThan(0);
    checkBug(bug);
  });

  it.each(BUGS)("$name is found by its seed, and by nothing without it", async (bug) => {
    const from = FOUND_BY[bug.name] ?? 0;
    const found = await search({ from, seeds: 1, processes: 1, bug, onProgress: () => undefined });
    expect(found.failure?.seed).toBe(from);
    expect((await runSeed(from)).violation).toBeUndefined();
  });

  it.each(["emptied-by-a-skipping-read", "drain-drops-accepted-work"])(
    "%s is found where the second guard that it removes is not missed by itself",
    async (name) => {
      const alone = BUGS.find((bug) => bug.name === "inserted-after-emptied");
      const from = FOUND_BY[name] ?? 0;
      const found = await search({ from, seeds: 1, processes: 1, bug: alone, onProgress: () => undefined });
      expect(alone).toBeDefined();
      expect(found.failure).toBeUndefined();
    },
  );
});
