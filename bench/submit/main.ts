import { Pool } from "undici";
import { call, cpuMs, median, startEmbedded } from "#bench/support/embedded.ts";

const CALLERS = 64;
const CALLS = 6_400;
const TENANTS = 64;

/**
 * Submits with `wait_seconds` 0 and `not_before` in an hour, so that what is measured is the way to the commit and not
 * this machine's speed at starting processes; then a smaller number that really run.
 */
async function run(): Promise<void> {
  const cluster = await startEmbedded();
  const later = new Date(Date.now() + 3_600_000).toISOString();
  await measure(cluster.url, CALLS / 8, { not_before: later, wait_seconds: 0 }, "warm-up");
  const pids = await cluster.pids();
  const before = new Map<string, number>();
  for (const [name, pid] of pids) before.set(name, await cpuMs(pid));
  await measure(cluster.url, CALLS, { not_before: later, wait_seconds: 0 }, "committed");
  for (const [name, pid] of [...pids].sort()) {
    const each = (((await cpuMs(pid)) - (before.get(name) ?? 0)) * 1_000) / CALLS;
    process.stdout.write(`    ${name.padEnd(10)} ${each.toFixed(0)} µs of CPU a submit\n`);
  }
  await measure(cluster.url, CALLS / 16, { wait_seconds: 10 }, "and started");
  await call(cluster.url, "ListJobs", "bench-0", {});
  await cluster.stop();
}

async function measure(url: string, calls: number, more: object, what: string): Promise<void> {
  const pool = new Pool(url, { connections: CALLERS });
  const body = JSON.stringify({ image_uri: "app", entrypoint: "/bin/true", ...more });
  const latencies: number[] = [];
  let next = 0;
  const startedMs = performance.now();
  const caller = async () => {
    while (next < calls) {
      const tenant = `bench-${next++ % TENANTS}`;
      const sentMs = performance.now();
      const { statusCode, body: answer } = await pool.request({
        method: "POST",
        path: "/jennah.v1.DeploymentService/SubmitJob",
        headers: { "content-type": "application/json", "x-tenant-id": tenant },
        body,
      });
      const text = await answer.text();
      if (statusCode !== 200) throw new Error(`SubmitJob answered ${statusCode}: ${text}`);
      latencies.push(performance.now() - sentMs);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  const seconds = (performance.now() - startedMs) / 1_000;
  await pool.close();
  const p99 = latencies.toSorted((a, b) => a - b)[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
  process.stdout.write(
    `  ${what.padEnd(12)} ${(calls / seconds).toFixed(0)} submits/s with ${CALLERS} callers, ${calls} calls; median ${median(latencies).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms\n`,
  );
}

await run();
