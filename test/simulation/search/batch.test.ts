import { expect, it } from "vitest";
import { runBatch } from "./batch.ts";

/** Enough for the rarest kind to come about several times. */
const SEEDS = 400;
/** For a machine that is busy with much else; it takes a few seconds. */
const PATIENCE_MS = 600_000;

it(
  "lets everything befall a world that can, and puts every promise to the test",
  async () => {
    const { counts, tests, events } = await runBatch({ from: 1, count: SEEDS });
    for (const kinds of [counts, tests, events])
      expect(Object.keys(kinds).filter((kind) => kinds[kind] === 0)).toEqual([]);
  },
  PATIENCE_MS,
);

it("counts nothing but what it names beforehand", async () => {
  const none = await runBatch({ from: 1, count: 0 });
  const some = await runBatch({ from: 1, count: 40 });
  for (const what of ["counts", "tests", "events"] as const)
    expect(Object.keys(some[what])).toEqual(Object.keys(none[what]));
});
