/**
 * One of several processes that write to one SQLite file as fast as they can while they keep a lease. Prints its insert
 * rate and how long each renewal took. Started by `contention.ts`.
 */
import { createSeededEntropy, systemClock } from "#pkg/clock/index.ts";
import { storeAt, worldOf } from "./common.ts";

const [path = "", name = "", seconds = "10", callers = "16"] = process.argv.slice(2);
const store = storeAt(path);
await store.start();
const world = worldOf(store);
const workerId = `worker-${name}`;
await store.beginTerm(world.begin(workerId, name));
const entropy = createSeededEntropy(Number(name) + 1);

const endsAt = systemClock.monotonicMs() + Number(seconds) * 1_000;
const renewals: number[] = [];
let inserted = 0;

async function renew(): Promise<void> {
  while (systemClock.monotonicMs() < endsAt) {
    const began = systemClock.monotonicMs();
    await store.renewTerm({ workerId, term: 1 }, name, { load: 0, draining: false });
    renewals.push(systemClock.monotonicMs() - began);
    await systemClock.sleep(5 + 10 * entropy.uniform());
  }
}

async function insert(): Promise<void> {
  while (systemClock.monotonicMs() < endsAt) {
    await store.insertJobs([world.newJob({ tenantId: `tenant-${name}`, owner: { workerId, term: 1 } })]);
    inserted++;
  }
}

await Promise.all([renew(), ...Array.from({ length: Number(callers) }, insert)]);
await store.stop();
process.stdout.write(`${JSON.stringify({ inserted, renewals })}\n`);
