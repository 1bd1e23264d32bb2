import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock, systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createOwnership, type Ownership } from "#pkg/ownership/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { newJob } from "#test/support/new-job.ts";
import { DESCRIPTION } from "./description.ts";

/**
 * How soon a job has another owner, on a clock of the test's own: the kill tests beside this one run on a machine's time, and
 * a busy machine may be late. Here the time of a call is none, and a worker that dies is one whose clock stands.
 */
const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
/** Its renewals and its claims: while both rest, nothing happens before time passes. */
const LOOPS = 2;
/** How finely time is measured, in parts of a claim interval. */
const PARTS = 20;

let folder: string;
let store: JobStore;
let runs = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-bound-"));
  store = createSqliteStore({
    path: join(folder, "jennah.db"),
    clock: systemClock,
    entropy: systemEntropy,
    log,
  });
  await store.start();
});
afterAll(async () => {
  await store.stop();
  await rm(folder, { recursive: true });
});

interface Timing {
  readonly ttlMs: number;
  readonly claimIntervalMs: number;
}

interface Worker {
  readonly id: string;
  readonly ownership: Ownership;
  readonly clock: ManualClock;
}

async function resting({ clock }: Worker): Promise<void> {
  while (clock.pending < LOOPS) await systemClock.yield();
}

async function start(id: string, target: string, timing: Timing): Promise<Worker> {
  const clock = createManualClock();
  const ownership = createOwnership({
    ...timing,
    store,
    clock,
    log,
    workerId: id,
    instance: `${id}-1`,
    description: { ...DESCRIPTION, targets: [target] },
    load: () => 0,
    onClaimed: () => undefined,
    onFound: () => undefined,
    onTermLost: () => undefined,
  });
  const worker = { id, ownership, clock };
  await ownership.start();
  await resting(worker);
  return worker;
}

async function pass(workers: readonly Worker[], ms: number): Promise<void> {
  for (const worker of workers) {
    await worker.clock.advance(ms);
    await resting(worker);
  }
}

/** Two workers that have heard of each other, a job of the first, and what becomes of it: by `go`, with the time it took. */
async function takeover(
  timing: Timing,
  lives: number,
  go: (dying: Worker) => Promise<void>,
): Promise<number> {
  runs += 1;
  const target = `test/bound-${runs}`;
  const dying = await start(`dying-${runs}`, target, timing);
  const other = await start(`other-${runs}`, target, timing);
  const stepMs = timing.claimIntervalMs / PARTS;
  for (let step = 0; step < lives; step += 1) await pass([dying, other], stepMs);
  const job = newJob({ target, owner: { workerId: dying.id, term: 1 } });
  await store.insertJobs([job]);
  await go(dying);
  let tookMs = 0;
  for (;;) {
    const [row] = await store.getJobs([job]);
    if (row?.owner?.workerId === other.id) break;
    if (tookMs > 10 * (timing.ttlMs + timing.claimIntervalMs)) throw new Error("nobody takes it over");
    await pass([other], stepMs);
    tookMs += stepMs;
  }
  await Promise.all([dying, other].map(({ ownership }) => ownership.stop()));
  return tookMs;
}

const timings = fc
  .record({ claimIntervalMs: fc.integer({ min: 100, max: 5_000 }), ratio: fc.integer({ min: 1, max: 10 }) })
  .map(({ claimIntervalMs, ratio }) => ({ claimIntervalMs, ttlMs: claimIntervalMs * ratio }));
/** How long both live before, in the measure of time: at any moment of their loops. */
const lives = fc.integer({ min: PARTS, max: 6 * PARTS });

async function holds(check: (timing: Timing, lives: number) => Promise<void>): Promise<void> {
  await fc.assert(fc.asyncProperty(timings, lives, check), { seed: 7, numRuns: 15 });
}

describe("a job has another owner", () => {
  it("within the TTL plus two claim intervals of its worker's death, and not before the TTL is over since it was heard", () =>
    holds(async (timing, lived) => {
      const tookMs = await takeover(timing, lived, async () => undefined);
      expect(tookMs).toBeLessThanOrEqual(timing.ttlMs + 2 * timing.claimIntervalMs);
      expect(tookMs).toBeGreaterThanOrEqual((timing.ttlMs * 2) / 3 - timing.claimIntervalMs / PARTS);
    }));

  it("within one claim interval of a leave in order", () =>
    holds(async (timing, lived) => {
      const tookMs = await takeover(timing, lived, ({ ownership }) =>
        ownership.drain(new AbortController().signal),
      );
      expect(tookMs).toBeLessThanOrEqual(timing.claimIntervalMs);
    }));
});
