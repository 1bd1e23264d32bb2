import { rm } from "node:fs/promises";
import { eventually, never, requestFor, trusted } from "#pkg/batch/conformance/harness.ts";
import { BatchPhase, hasEnded } from "#pkg/batch/index.ts";
import { newWorkdir, providerIn } from "#pkg/batch/local/testing.ts";
import { systemClock } from "#pkg/clock/index.ts";

/** Figures of the local provider on this machine: `node test/batch/measure.ts`. Needs some 4,000 processes for a minute. */
const RUNNING = 1000;
const workdir = await newWorkdir();
const provider = providerIn(workdir);
await provider.start();
const lanes = provider.capabilities.maxConcurrentCreates;

async function timed(what: string, work: () => Promise<number>): Promise<void> {
  const cpu = process.cpuUsage();
  const begun = systemClock.monotonicMs();
  const count = await work();
  const tookMs = systemClock.monotonicMs() - begun;
  const { user, system } = process.cpuUsage(cpu);
  const cpuMs = (user + system) / 1000;
  process.stdout.write(
    `${what}: ${count} in ${tookMs.toFixed(0)} ms, ${((count * 1000) / tookMs).toFixed(0)}/s, ${(cpuMs / count).toFixed(2)} ms of CPU each\n`,
  );
}

async function createAll(requests: ReturnType<typeof requestFor>[]): Promise<number> {
  const queue = [...requests];
  const lane = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { kind } = await provider.create(next, trusted());
      if (kind !== "accepted") throw new Error(kind);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return requests.length;
}

const short = Array.from({ length: 300 }, () => requestFor({ entrypoint: "/bin/true", commands: [] }));
await timed("launches", () => createAll(short));
const long = Array.from({ length: RUNNING }, () =>
  requestFor({ entrypoint: "/bin/sleep", commands: ["600"] }),
);
await timed("launches of jobs that stay", () => createAll(long));
const ids = long.map(({ batchJobId }) => batchJobId);
for (let round = 0; round < 3; round++) {
  await timed("describe of running jobs", async () => {
    const states = [...(await provider.describe(ids, never())).values()];
    return states.filter((state) => state?.phase === BatchPhase.Running).length;
  });
}
await timed("inventory", async () => {
  let count = 0;
  for await (const page of provider.inventory(long[0]?.deploymentId ?? "", never())) count += page.length;
  return count;
});
await timed("terminate", async () => {
  for (const id of ids) await provider.terminate(id, never());
  return ids.length;
});
for (const id of ids) await eventually(provider, id, ({ phase }) => hasEnded(phase));
await timed("describe of ended jobs", async () => (await provider.describe(ids, never())).size);
await provider.stop();
await rm(workdir, { recursive: true, force: true, maxRetries: 5 });
