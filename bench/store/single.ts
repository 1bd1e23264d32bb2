/**
 * What one process gets from the SQLite store: inserts, owners' writes, takeovers, pages.
 *
 *   node bench/store/single.ts [folder for the database, default the system's for temporary files]
 */
import { closeSync, fdatasyncSync, openSync, writeSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Job } from "#pkg/job/index.ts";
import { createGatheredStore, type JobStore, type PageCursor } from "#pkg/store/index.ts";
import { quantile, say, storeAt, worldOf } from "./common.ts";

const CALLERS = 64;
const SECONDS = 4;
const JOBS = 20_000;

const folder = await mkdtemp(join(process.argv[2] ?? tmpdir(), "jennah-bench-"));
const store = storeAt(join(folder, "jennah.db"));
await store.start();
const world = worldOf(store);

await reportSync();
await reportInserts("inserts, as they come", store);
await reportInserts("inserts, gathered", createGatheredStore(store));
const jobs = await insertMany(JOBS);
await reportUpdates(jobs);
await reportPages();
await reportTakeover();
await store.stop();
await rm(folder, { recursive: true });

async function reportSync(): Promise<void> {
  const file = openSync(join(folder, "sync"), "w");
  const times: number[] = [];
  for (let block = 0; block < 300; block++) {
    const began = performance.now();
    writeSync(file, Buffer.alloc(4096), 0, 4096, block * 4096);
    fdatasyncSync(file);
    times.push(performance.now() - began);
  }
  closeSync(file);
  say(
    `a synced write of 4 KiB: p50 ${quantile(times, 0.5).toFixed(2)} ms, p99 ${quantile(times, 0.99).toFixed(2)} ms`,
  );
}

async function reportInserts(name: string, into: JobStore): Promise<void> {
  const times: number[] = [];
  const endsAt = performance.now() + SECONDS * 1_000;
  const caller = async () => {
    while (performance.now() < endsAt) {
      const began = performance.now();
      await into.insertJobs([world.newJob({ tenantId: "inserts", owner: { workerId: "busy", term: 1 } })]);
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: CALLERS }, caller));
  say(
    `${name}: ${Math.round(times.length / SECONDS)} a second from ${CALLERS} callers, ` +
      `p50 ${quantile(times, 0.5).toFixed(1)} ms, p99 ${quantile(times, 0.99).toFixed(1)} ms`,
  );
}

async function insertMany(count: number): Promise<Job[]> {
  const inserted: Job[] = [];
  for (let at = 0; at < count; at += 200) {
    const results = await store.insertJobs(Array.from({ length: 200 }, () => world.newJob()));
    for (const result of results) if (result.kind === "inserted") inserted.push(result.job);
  }
  return inserted;
}

async function reportUpdates(all: readonly Job[]): Promise<void> {
  const began = performance.now();
  for (let at = 0; at < all.length; at += 200) {
    await store.updateJobs(
      all.slice(at, at + 200).map((job) => world.update(job, { status: "RUNNING" }, "ACCEPTED")),
    );
  }
  const seconds = (performance.now() - began) / 1_000;
  say(`owners' writes in groups of 200: ${Math.round(all.length / seconds)} a second`);
}

async function reportPages(): Promise<void> {
  const filter = {
    statuses: [],
    namePrefix: "",
    labels: {},
    kind: "",
    createdAfterMs: undefined,
    createdBeforeMs: undefined,
  };
  const times: number[] = [];
  let after: PageCursor | undefined;
  do {
    const began = performance.now();
    const page = await store.listJobs({ tenantId: world.tenant, filter, pageSize: 50, after });
    times.push(performance.now() - began);
    after = page.next;
  } while (after !== undefined);
  say(
    `pages of 50 of ${JOBS} jobs: p50 ${quantile(times, 0.5).toFixed(2)} ms, longest ${quantile(times, 1).toFixed(1)} ms`,
  );
}

async function reportTakeover(): Promise<void> {
  const began = performance.now();
  const batches: number[] = [];
  const dead = [{ workerId: world.owner.workerId, afterTerm: 0, throughTerm: 1 }];
  for (let taken = 1; taken > 0; ) {
    const batchBegan = performance.now();
    taken = (await store.claimJobs(world.claim({ dead, limit: 500 }))).length;
    batches.push(performance.now() - batchBegan);
  }
  say(
    `takeover of ${JOBS} jobs in batches of 500: ${((performance.now() - began) / 1_000).toFixed(2)} s, ` +
      `a batch p50 ${quantile(batches, 0.5).toFixed(0)} ms, longest ${quantile(batches, 1).toFixed(0)} ms`,
  );
}
