import { expect, it } from "vitest";
import type { TestModule } from "vitest/node";
import { createNotRunReporter } from "./not-run-reporter.ts";

/** As much of a module as the reporter asks for: its skipped tests, by title and note. */
function moduleOf(...skipped: readonly (readonly [fullName: string, note?: string])[]): TestModule {
  const tests = skipped.map(([fullName, note]) => ({ fullName, result: () => ({ state: "skipped", note }) }));
  return { children: { allTests: () => tests } } as unknown as TestModule;
}

function saidOf(...modules: readonly TestModule[]): string {
  let said = "";
  createNotRunReporter((text) => {
    said += text;
  }).onTestRunEnd?.(modules, [], "passed");
  return said;
}

it("each reason is said once, with how many tests it kept from running", () => {
  const first = moduleOf(["a (not run: no emulator)"], ["b (not run: no curl (the command)) > c"]);
  const second = moduleOf(["d (not run: no emulator) > e"], ["f", "nothing can be held here"]);
  expect(saidOf(first, second).trim().split("\n")).toEqual([
    "Skipped tests:",
    "   2 × not run: no emulator",
    "   1 × not run: no curl (the command)",
    "   1 × not run: nothing can be held here",
  ]);
});

it("nothing is said where nothing was skipped, or tests were merely not chosen", () => {
  expect(saidOf(moduleOf())).toBe("");
  expect(saidOf(moduleOf(["a test that another was chosen over"]))).toBe("");
});
