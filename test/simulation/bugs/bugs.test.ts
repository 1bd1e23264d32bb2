import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runSeed } from "#test/simulation/search/run-seed.ts";
import { search } from "#test/simulation/search/search.ts";
import { pathOf, replaceOnce } from "./arm.ts";
import { FOUND_BY } from "./found.ts";
import { BUGS } from "./table.ts";

describe("deliberate bugs", () => {
  it("have names of their own, and a seed each that finds them", () => {
    const names = BUGS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(Object.keys(FOUND_BY).toSorted()).toEqual(names.toSorted());
  });

  it.each(BUGS)("$name: what it replaces stands in the code once", ({ name, patches }) => {
    expect(patches.length).toBeGreaterThan(0);
    const files = Map.groupBy(patches, ({ file }) => file);
    for (const [file, changes] of files) {
      let text = readFileSync(pathOf(file), "utf8");
      for (const { find, replace } of changes) text = replaceOnce(text, find, replace, `${name}: ${file}`);
    }
  });

  it.each(BUGS)("$name is found by its seed, and by nothing without it", async (bug) => {
    const from = FOUND_BY[bug.name] ?? 0;
    const found = await search({ from, seeds: 1, processes: 1, bug, onProgress: () => undefined });
    expect(found.failure?.seed).toBe(from);
    expect((await runSeed(from)).violation).toBeUndefined();
  });
});
