/**
 * A process that uses a store, for tests that kill, race and lock real ones. Speaks lines on stdin and stdout.
 *
 *   open            opens each path that comes in, and tells its deployment
 *   insert <path>   inserts with eight callers for ever; tells each job once it is answered
 *   hold <path> <ms> takes the database's write lock for <ms>; tells so, and once more when half of it is over
 */

import { createInterface } from "node:readline";
import { systemClock } from "#pkg/clock/index.ts";
import { createWorld } from "#pkg/store/conformance/world.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { whileLocked } from "#test/support/freeze.ts";
import { storeAt } from "./open.ts";

const [mode, path = "", ms = "0"] = process.argv.slice(2);
const say = (line: string) => process.stdout.write(`${line}\n`);

async function open(): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const store = storeAt(line);
    try {
      await store.start();
      say((await store.meta()).deploymentId);
    } catch (error) {
      say(String(error));
    }
    await store.stop();
  }
}

async function insert(): Promise<void> {
  const store = storeAt(path);
  await store.start();
  await Promise.all(Array.from({ length: 8 }, () => insertForEver(store)));
}

async function insertForEver(store: JobStore): Promise<void> {
  const stores = { store, peer: store, close: async () => {} };
  const { newJob } = createWorld(stores, async () => stores);
  for (;;) {
    const job = newJob({ tenantId: `pid-${process.pid}` });
    await store.insertJobs([job]);
    say(`${job.tenantId} ${job.jobId}`);
  }
}

async function hold(): Promise<void> {
  await whileLocked(path, async () => {
    say("held");
    await systemClock.sleep(Number(ms) / 2);
    say("still held");
    await systemClock.sleep(Number(ms) / 2);
  });
}

if (mode === "open") await open();
else if (mode === "insert") await insert();
else await hold();
