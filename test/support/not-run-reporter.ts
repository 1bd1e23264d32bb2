import type { Reporter, TestCase, TestModule } from "vitest/node";

/** How a title, of a test or of what it is in, says why it is not run. */
const IN_TITLE = /\((not (?:run|held): .*?)\)(?= > |$)/;

/**
 * Says at the end of a run, once for each reason, why tests were skipped and how many: a summary that only counts them lets
 * what was never tried pass for what was. The reason is what was given to `skip`, or stands in the title as `(not run: …)`.
 */
export function createNotRunReporter(print: (text: string) => void): Reporter {
  return {
    onTestRunEnd(modules) {
      const lines = [...countReasons(modules)].map(([reason, count]) => `   ${count} × ${reason}\n`);
      if (lines.length > 0) print(`\n Skipped tests:\n${lines.join("")}\n`);
    },
  };
}

function countReasons(modules: readonly TestModule[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const module of modules) {
    for (const test of module.children.allTests("skipped")) {
      const reason = reasonOf(test);
      if (reason !== undefined) counts.set(reason, (counts.get(reason) ?? 0) + 1);
    }
  }
  return counts;
}

/** Undefined for one that was merely not chosen (`-t`, `.only`). */
function reasonOf(test: TestCase): string | undefined {
  const result = test.result();
  if (result.state === "skipped" && result.note !== undefined) return `not run: ${result.note}`;
  return IN_TITLE.exec(test.fullName)?.[1];
}
