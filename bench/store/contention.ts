/**
 * How long lease renewals take while several processes write to one SQLite file as fast as they can.
 *
 *   node bench/store/contention.ts [processes, default 3] [seconds, default 10] [callers each, default 16]
 */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { quantile, say } from "./common.ts";

const [processes = "3", seconds = "10", callers = "16"] = process.argv.slice(2);
const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), "jennah-bench-"));
const contender = fileURLToPath(new URL("./contender.ts", import.meta.url));

const runs = await Promise.all(
  Array.from({ length: Number(processes) }, async (_, index) => {
    const { stdout } = await run(
      process.execPath,
      [contender, join(folder, "jennah.db"), String(index), seconds, callers],
      { maxBuffer: 2 ** 26 },
    );
    return JSON.parse(stdout) as { inserted: number; renewals: number[] };
  }),
);
await rm(folder, { recursive: true });

for (const [index, { inserted, renewals }] of runs.entries()) {
  const ms = (share: number) => quantile(renewals, share).toFixed(1);
  say(
    `process ${index}: ${Math.round(inserted / Number(seconds))} inserts/s; ${renewals.length} renewals, ` +
      `p50 ${ms(0.5)} ms, p99 ${ms(0.99)} ms, longest ${ms(1)} ms`,
  );
}
