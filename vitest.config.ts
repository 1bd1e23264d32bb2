import { defineConfig } from "vitest/config";
import { createNotRunReporter } from "./test/support/not-run-reporter.ts";

/** Bench and generated code hold no tests; everything else keeps `x.test.ts` beside `x.ts` or under `test/`. */
export default defineConfig({
  test: {
    include: ["pkg/**/*.test.ts", "cmd/**/*.test.ts", "test/**/*.test.ts"],
    // Most of the time goes by waiting for processes that die and terms that run out, so more run than there are cores.
    maxWorkers: 4,
    // Tests make and end many threads. Node 24 aborted in a thread that swept code pages of one that had ended ("Check failed:
    // jit_page.has_value()"): so the collector keeps to the threads that own what it collects.
    execArgv: ["--single-threaded-gc"],
    testTimeout: 20_000,
    hookTimeout: 20_000,
    reporters: ["default", createNotRunReporter((text) => void process.stdout.write(text))],
  },
});
