import { cpuMs, residentMib, startEmbedded } from "#bench/support/embedded.ts";

const SETTLE_MS = 5_000;
const MEASURE_MS = 20_000;

/** What each process of a cluster that has nothing to do uses. */
async function run(): Promise<void> {
  const cluster = await startEmbedded();
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const pids = await cluster.pids();
  const before = new Map<string, number>();
  for (const [name, pid] of pids) before.set(name, await cpuMs(pid));
  await new Promise((resolve) => setTimeout(resolve, MEASURE_MS));
  for (const [name, pid] of [...pids].sort()) {
    const share = ((await cpuMs(pid)) - (before.get(name) ?? 0)) / MEASURE_MS;
    const memory = await residentMib(pid);
    process.stdout.write(
      `  ${name.padEnd(10)} ${(share * 100).toFixed(2)} % of a core  ${memory.toFixed(0)} MiB\n`,
    );
  }
  await cluster.stop();
}

await run();
