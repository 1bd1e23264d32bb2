import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Bug } from "#test/simulation/bugs/bug.ts";
import { Promised } from "#test/simulation/promises/promise.ts";
import { carryOut, Exit, type Work } from "./command.ts";

/** A program in the place of the one that runs the seeds. */
function programOf(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "jennah-simulation-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const program = join(folder, "child.mjs");
  writeFileSync(program, text);
  return program;
}

async function run(work: Partial<Work>) {
  const out: string[] = [];
  const err: string[] = [];
  const code = await carryOut(
    { seeds: 1, from: 3, bug: undefined, replay: undefined, ...work },
    { out: (text) => void out.push(text), err: (text) => void err.push(text) },
  );
  return { code, out: out.join(""), err: err.join("") };
}

const ending = (failure: object | undefined) =>
  JSON.stringify({ seeds: 1, failure, counts: {}, tests: {}, events: {}, simulatedMs: 1, acts: 1 });
const answering = (failure: object | undefined) =>
  programOf(`process.on("message", () => process.send(${ending(failure)}));
    process.on("disconnect", () => process.exit(0));`);

const gone: Bug = {
  name: "gone",
  says: "its text is not in the code any more",
  patches: [{ file: "pkg/dispatch/rows.ts", find: "no such words", replace: "" }],
};

describe("the simulation's command", () => {
  it("exits 0 when every promise held, and tells what never came about", async () => {
    const end = await run({});
    expect(end).toMatchObject({ code: Exit.Held, err: "" });
    expect(end.out).toContain("Every promise held.");
    expect(end.out).toMatch(/never: .*gateway crash/);
    expect(end.out).toMatch(new RegExp(`${Promised.OncePerCall} +\\d`));
  });

  it("exits 1 on a find that does not come again, and says so", async () => {
    const violation = { promise: Promised.Ends, words: "job-1 never ended", atMs: 5 };
    const end = await run({ program: answering({ seed: 3, violation, struck: [] }) });
    expect(end.code).toBe(Exit.Broken);
    expect(end.out).toContain("Seed 3: every promise held.");
    expect(end.out).toContain(
      `It did not come again: in the search, seed 3 broke a promise: ${Promised.Ends}.`,
    );
    expect(end.out).toContain("job-1 never ended");
  });

  it.each([
    ["at once", "process.exit(1);"],
    ["at work", `process.on("message", () => process.exit(0));`],
    ["by a signal", `process.on("message", () => process.kill(process.pid, "SIGKILL"));`],
    [
      "between two batches",
      `process.on("message", () => process.send(${ending(undefined)}, () => process.exit(0)));`,
    ],
  ])("exits 70 when a process that runs seeds dies %s", async (_, text) => {
    const end = await run({ seeds: 200, program: programOf(text) });
    expect(end.code).toBe(Exit.Failed);
    expect(end.err).toContain("The simulation itself failed");
  });

  it("exits 70 when a bug's text is not in the code any more, in a search and in a replay", async () => {
    for (const replay of [undefined, 3]) {
      const end = await run({ bug: gone, replay });
      expect(end.code).toBe(Exit.Failed);
      expect(end.err).toContain("gone: pkg/dispatch/rows.ts: what the bug replaces stands there 0 times");
    }
  });
});
