import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import type { Job } from "#pkg/job/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createOwnership, type Ownership } from "#pkg/ownership/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { newJob } from "#test/support/new-job.ts";
import { eventually } from "#test/support/node-process.ts";
import { DESCRIPTION } from "./description.ts";

const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });

let folder: string;
let store: JobStore;
let ownership: Ownership | undefined;
const known = new Set<string>();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-lost-"));
  store = createSqliteStore({ path: join(folder, "jennah.db"), clock, entropy, log });
  await store.start();
  known.clear();
});
afterEach(async () => {
  await ownership?.stop();
  await store.stop();
  await rm(folder, { recursive: true });
});

function note(jobs: readonly Job[]): void {
  for (const { jobId } of jobs) known.add(jobId);
}

async function start(between: JobStore): Promise<Ownership> {
  ownership = createOwnership({
    store: between,
    clock,
    log,
    workerId: "me",
    instance: "me-1",
    description: DESCRIPTION,
    ttlMs: 3_000,
    claimIntervalMs: 300,
    load: () => known.size,
    onClaimed: note,
    onFound: note,
    onTermLost: () => known.clear(),
  });
  await ownership.start();
  return ownership;
}

describe("an owner that lost an answer finds what it owns and does not know of", () => {
  it("of a claim", async () => {
    let isLost = false;
    await start({
      ...store,
      async claimJobs(request) {
        const jobs = await store.claimJobs(request);
        if (isLost || jobs.length === 0) return jobs;
        isLost = true;
        throw new UnavailableError("STORE_UNAVAILABLE", "the answer was lost");
      },
    });
    const job = newJob();
    await store.insertJobs([job]);
    await eventually(() => known.has(job.jobId), Boolean);
    expect(isLost).toBe(true);
  });

  it("of an insert, once it is told", async () => {
    const mine = await start(store);
    const job = newJob({ owner: { workerId: "me", term: 1 } });
    await store.insertJobs([job]);
    mine.noteLostAnswer();
    await eventually(() => known.has(job.jobId), Boolean);
  });
});
