import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { trusted } from "#pkg/batch/conformance/harness.ts";
import { createCallBudget } from "#pkg/batch/index.ts";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { batchJobIdOf, CreatePhase, type Job, JobStatus } from "#pkg/job/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { createInventory, type InventoryOptions, OrphanPolicy } from "#pkg/tracking/index.ts";
import { newJob } from "#test/support/new-job.ts";
import { eventually } from "#test/support/node-process.ts";
import { openWorld, type World } from "./harness.ts";

let world: World;
let folder: string;
let store: ReturnType<typeof createSqliteStore>;
let deploymentId: string;
const lines: string[] = [];
const log = createLogger({
  level: LogLevel.Warn,
  format: LogFormat.Json,
  destination: { write: (text) => void lines.push(text) },
});

beforeEach(async () => {
  lines.length = 0;
  folder = await mkdtemp(join(tmpdir(), "jennah-inventory-"));
  store = createSqliteStore({ path: join(folder, "jennah.db"), clock, entropy, log });
  await store.start();
  deploymentId = (await store.meta()).deploymentId;
  world = await openWorld({ cloud: { maxPage: 2 } });
  await world.provider.start();
});
afterEach(async () => {
  await world.close();
  await store.stop();
  await rm(folder, { recursive: true, force: true, maxRetries: 5 });
});

/** A batch job of the deployment that runs, and the row of its job where there is one. */
async function running(row?: Partial<Job>, attempt = 1): Promise<string> {
  const job = newJob({ target: world.provider.target, owner: { workerId: "me", term: 1 }, ...row });
  if (row !== undefined) await store.insertJobs([job]);
  const batchJobId = batchJobIdOf(deploymentId, job.jobId, attempt);
  const spec = { ...job.spec, entrypoint: "/bin/sleep", commands: ["300"] };
  const { tenantId, jobId } = job;
  const request = { batchJobId, deploymentId, tenantId, jobId, attempt, spec, env: {} };
  expect((await world.provider.create(request, trusted())).kind).toBe("accepted");
  return batchJobId;
}

const stateOf = (batchJobId: string) => world.cloud.jobs.find(({ id }) => id === batchJobId)?.state;
const runs = (batchJobId: string) => ["QUEUED", "SCHEDULED", "RUNNING"].includes(stateOf(batchJobId) ?? "");

/** Takes one inventory to its end. */
async function inventory(more: Partial<InventoryOptions> = {}): Promise<void> {
  const lists = () => world.cloud.calls.filter(({ method }) => method === "ListJobs").length;
  const before = lists();
  const budget = createCallBudget({ clock, entropy, callsPerSecond: () => 1_000 });
  const targets = [{ provider: world.provider, budget }];
  const service = createInventory({
    store,
    clock,
    entropy,
    log,
    deploymentId,
    targets,
    isMine: () => true,
    ...more,
  });
  await service.start();
  const pages = Math.ceil(world.cloud.jobs.filter(({ state }) => state !== "CANCELLED").length / 2);
  await eventually(lists, (count) => count >= before + pages);
  await service.drain(new AbortController().signal);
  await service.stop();
}

describe("batch jobs of this deployment", () => {
  it("whose job is over are ended, on whatever page they are", async () => {
    const over = { status: JobStatus.Cancelled };
    const on = { status: JobStatus.Running, createPhase: CreatePhase.Confirmed };
    const [first, kept, last] = [await running(over), await running(on), await running(over)];
    await inventory();
    expect([first, kept, last].map(runs)).toEqual([false, true, false]);
  });

  it.each([
    [OrphanPolicy.Report, true],
    [OrphanPolicy.Cancel, false],
  ])("that no row knows are told of, and with ORPHAN_POLICY=%s run on: %s", async (orphanPolicy, doesRun) => {
    const orphan = await running();
    await inventory({ orphanPolicy });
    expect(lines.join("")).toContain("a batch job runs that no row knows");
    expect(runs(orphan)).toBe(doesRun);
  });

  it("whose row is PENDING are told to their owner, the current attempt's alone, and run on", async () => {
    const pending = { status: JobStatus.Pending, createPhase: CreatePhase.Begun, attempt: 2 };
    const [current, earlier] = [await running(pending, 2), await running(pending, 1)];
    const told: string[] = [];
    await inventory({
      onPending: ({ jobId, attempt }) => told.push(batchJobIdOf(deploymentId, jobId, attempt)),
    });
    expect(told).toEqual([current]);
    expect([current, earlier].map(runs)).toEqual([true, false]);
  });
});
