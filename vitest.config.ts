import { defineConfig } from "vitest/config";
import { createNotRunReporter } from "./test/support/not-run-reporter.ts";

/** Tests that compute: a thread each would only slow the others down. */
const COMPUTING = [
  "pkg/**/*.test.ts",
  "cmd/**/*.test.ts",
  "test/{layers,simulation}/**/*.test.ts",
  "test/batch/gcp/rates*.test.ts",
];

/** Bench and generated code hold no tests; everything else keeps `x.test.ts` beside `x.ts` or under `test/`. */
export default defineConfig({
  test: {
    // Tests make and end many threads. Node 24 aborted in a thread that swept code pages of one that had ended ("Check failed:
    // jit_page.has_value()"): so the collector keeps to the threads that own what it collects.
    execArgv: ["--single-threaded-gc"],
    // What hangs is to end; what is slow on a busy machine is not to fail.
    testTimeout: 450_000,
    hookTimeout: 450_000,
    reporters: ["default", createNotRunReporter((text) => void process.stdout.write(text))],
    projects: [
      {
        extends: true,
        test: { name: "computing", include: COMPUTING, maxWorkers: 2, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: "waiting",
          include: ["test/**/*.test.ts"],
          exclude: COMPUTING,
          // Most of the time goes by waiting for processes that die and terms that run out, so more run than there are
          // cores; and after what computes, which would make them wait for a core as well.
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
