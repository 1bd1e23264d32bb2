import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import type { Owner } from "#pkg/job/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { freezeBetweenWrites, whileLocked } from "#test/support/freeze.ts";
import { newJob } from "#test/support/new-job.ts";
import { eventually, type NodeProcess, PATIENCE_MS, startNode } from "#test/support/node-process.ts";

/** Kill tests of ownership on the store alone: real processes, real signals, a real lock. Claim interval 1 s. */
const HOLDER = fileURLToPath(new URL("./holder.ts", import.meta.url));
/** The holder's own, where a test says nothing else. */
const TTL_MS = 3_000;
/** Longer than any test waits: what happens under it does not happen because a term ran out. */
const NEVER_OUT = { HOLDER_TTL_MS: String(10 * PATIENCE_MS) };
const CLAIM_INTERVAL_MS = 1_000;
/** TTL plus two claim intervals, and ten seconds for a busy machine. */
const TAKEOVER_MS = TTL_MS + 2 * CLAIM_INTERVAL_MS + 10_000;

let folder: string;
let path: string;
let store: JobStore;
const processes: NodeProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-ownership-"));
  path = join(folder, "jennah.db");
  const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
  store = createSqliteStore({ path, clock: systemClock, entropy: systemEntropy, log });
  await store.start();
});

afterEach(async () => {
  await Promise.all(processes.splice(0).map((each) => each.kill()));
  await store.stop();
  await rm(folder, { recursive: true });
});

function start(id: string, env: Record<string, string> = {}): NodeProcess {
  const started = startNode(HOLDER, { HOLDER_ID: id, HOLDER_DB: path, ...env });
  processes.push(started);
  return started;
}

async function startHolding(id: string, env: Record<string, string> = {}): Promise<NodeProcess> {
  const started = start(id, env);
  await started.line((line) => line.includes('"term begun"'));
  return started;
}

async function workerRow(id: string) {
  return (await store.readWorkers()).find((row) => row.workerId === id);
}

async function insertFor(owner: Owner | undefined, count: number, target = "test/target"): Promise<string[]> {
  const jobs = Array.from({ length: count }, () => newJob({ target, ...(owner && { owner }) }));
  await store.insertJobs(jobs);
  return jobs.map((job) => job.jobId);
}

async function ownersOf(ids: readonly string[]): Promise<Set<string>> {
  const jobs = await store.getJobs(ids.map((jobId) => ({ tenantId: "tenant", jobId })));
  return new Set(jobs.map(({ owner }) => (owner === undefined ? "none" : `${owner.workerId}:${owner.term}`)));
}

/** Resolves with the milliseconds until all these jobs belong to `owner`. */
async function untilOwnedBy(ids: readonly string[], owner: RegExp, withinMs?: number): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  await eventually(
    () => ownersOf(ids),
    (owners) => owners.size > 0 && [...owners].every((each) => owner.test(each)),
    withinMs,
  );
  return systemClock.monotonicMs() - startedMs;
}

// How soon is for each test to say; the limit ends what hangs, and a busy machine is slow to start processes.
describe("ownership, with processes that die", () => {
  it("what a killed worker owned has a new owner within the TTL plus two claim intervals, however many", async () => {
    const [a] = await Promise.all([startHolding("a"), startHolding("b"), startHolding("c")]);
    const ids = await insertFor({ workerId: "a", term: 1 }, 1_200);
    a.signal("SIGKILL");
    const tookMs = await untilOwnedBy(ids, /^[bc]:/, TAKEOVER_MS);
    expect(tookMs).toBeGreaterThan(TTL_MS / 3);
  });

  it("a worker that restarts takes its own jobs back at once, without waiting for the TTL", async () => {
    const a = await startHolding("a", NEVER_OUT);
    const ids = await insertFor({ workerId: "a", term: 1 }, 50);
    await a.kill();
    await startHolding("a", NEVER_OUT);
    await untilOwnedBy(ids, /^a:2$/);
  });

  it("a worker that leaves in order frees its jobs at once", async () => {
    const [a] = await Promise.all([startHolding("a", NEVER_OUT), startHolding("b", NEVER_OUT)]);
    const ids = await insertFor({ workerId: "a", term: 1 }, 50);
    a.signal("SIGTERM");
    expect(await a.ended).toEqual({ code: 0, signal: null });
    await untilOwnedBy(ids, /^b:1$/);
  });

  it("a worker frozen for longer than its TTL finds its term over and begins another", async () => {
    const [a] = await Promise.all([startHolding("a"), startHolding("b")]);
    const ids = await insertFor({ workerId: "a", term: 1 }, 10);
    await freezeBetweenWrites(a, path);
    await untilOwnedBy(ids, /^b:/, TAKEOVER_MS);
    a.signal("SIGCONT");
    await a.line((line) => line.includes("term is over"));
    await eventually(
      () => workerRow("a"),
      (row) => (row?.term ?? 0) > 1 && !row?.over,
    );
    for (const owner of await ownersOf(ids)) expect(owner).toMatch(/^b:/);
    const late = await insertFor(undefined, 1);
    await untilOwnedBy(late, /^(a:[^1]|b:)/);
  });

  it("a worker whose id another process took says so when it wakes, and exits 78", async () => {
    const a = await startHolding("a");
    await freezeBetweenWrites(a, path);
    const other = await startHolding("a");
    a.signal("SIGCONT");
    expect((await a.ended).code).toBe(78);
    expect(a.lines.some((line) => line.includes("WORKER_ID a is in use by instance "))).toBe(true);
    expect(await workerRow("a")).toMatchObject({ term: 2, over: false });
    other.signal("SIGTERM");
    expect((await other.ended).code).toBe(0);
  });

  it("no term is lost while nobody can write, however long, even by who is heard a little later than others", async () => {
    const ttl = { HOLDER_TTL_MS: "6000" };
    const [, b] = await Promise.all([startHolding("a", ttl), startHolding("b", ttl)]);
    // Both have seen each other's beat.
    await eventually(
      () => Promise.all([workerRow("a"), workerRow("b")]),
      (rows) => rows.every((row) => (row?.beat ?? 0) > 2),
    );
    let beatOfA = 0;
    await whileLocked(path, async () => {
      beatOfA = (await workerRow("a"))?.beat ?? 0;
      // The outage itself, which is a length of time.
      await systemClock.sleep(8_000);
      // Before the lock is free, or it may be frozen with the lock in its hand.
      await b.freeze();
    });
    // One that waited, one that was due meanwhile, and one a third of the TTL later: long before it may take b for dead.
    await eventually(
      () => workerRow("a"),
      (row) => (row?.beat ?? 0) >= beatOfA + 3,
    );
    b.signal("SIGCONT");
    const beatOfB = (await workerRow("b"))?.beat ?? 0;
    await eventually(
      () => workerRow("b"),
      (row) => (row?.beat ?? 0) >= beatOfB + 3,
    );
    for (const id of ["a", "b"]) expect(await workerRow(id)).toMatchObject({ term: 1, over: false });
  });

  it("a job inserted by a dead term after it was emptied still finds an owner", async () => {
    const [a] = await Promise.all([startHolding("a"), startHolding("b", { HOLDER_FULL_SEARCH_MS: "2000" })]);
    a.signal("SIGKILL");
    await eventually(
      () => workerRow("a"),
      (row) => row?.emptiedThrough === 1,
      TAKEOVER_MS,
    );
    const late = await insertFor({ workerId: "a", term: 1 }, 1);
    await untilOwnedBy(late, /^b:/);
  });

  it("workers of two targets on one store never claim each other's jobs", async () => {
    await Promise.all([
      startHolding("a", { ...NEVER_OUT, HOLDER_TARGET: "test/one" }),
      startHolding("b", { ...NEVER_OUT, HOLDER_TARGET: "test/two" }),
    ]);
    const [one, two] = await Promise.all([
      insertFor(undefined, 20, "test/one"),
      insertFor(undefined, 20, "test/two"),
    ]);
    const third = await insertFor(undefined, 5, "test/three");
    await untilOwnedBy(one, /^a:1$/);
    await untilOwnedBy(two, /^b:1$/);
    expect(await ownersOf(third)).toEqual(new Set(["none"]));
  });
});
