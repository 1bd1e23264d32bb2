import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Job } from "#pkg/job/index.ts";
import type { ClaimRequest, JobStore, StoreMeta, WorkerRecord } from "#pkg/store/index.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";
import { createModelCore } from "#test/simulation/store/model-core.ts";
import { type Call, step } from "#test/simulation/store/random-calls.ts";
import { JOB_IDS, TENANTS } from "#test/simulation/store/random-parts.ts";
import { describeOnSpanner, spannerStoreOf } from "#test/support/spanner-emulator.ts";
import { createWiper, type Wiper } from "./wiped.ts";

/** As many as come within the time: the emulator takes ten milliseconds for a write, and other tests take the rest. */
const RUNS = 40;
const WITHIN_MS = 60_000;
const MAX_STEPS = 80;
/** More rows than there ever are. */
const ALL = 100;

type Answer = { readonly value: unknown } | { readonly refusal: string };
type Method = (...args: readonly unknown[]) => unknown;

/**
 * What the port leaves open is not asked: which jobs of terms that are over a claim takes first, and what a purge forgets
 * first, so these take all; which of two tenants' jobs a look-up by id alone finds, since no two share an id but here; and
 * what a worker may claim whose own term is among those that are over.
 */
function settled({ name, args }: Call): Call | undefined {
  if (name === "lookUpJobs") return undefined;
  if (name === "purge") return { name, args: [args[0], ALL] };
  if (name !== "claimJobs") return { name, args };
  const request = args[0] as ClaimRequest;
  const { claimer, limit } = request;
  const dead = request.dead.filter(
    ({ workerId, throughTerm }) => workerId !== claimer.workerId || throughTerm < claimer.term,
  );
  return { name, args: [{ ...request, dead, limit: dead.length === 0 ? limit : ALL }] };
}

/** Answers in one order where the port leaves that open, and each row once where it was asked for twice. */
function ordered(name: Call["name"], value: unknown): unknown {
  switch (name) {
    case "getJobs":
    case "claimJobs":
      return sorted(value as readonly Job[], ({ tenantId, jobId }) => `${tenantId}/${jobId}`);
    case "readWorkers":
      return sorted(value as readonly WorkerRecord[], ({ workerId }) => workerId);
    case "meta":
      return (value as StoreMeta).keyFingerprint;
    default:
      return value;
  }
}

function sorted<T>(rows: readonly T[], nameOf: (row: T) => string): readonly T[] {
  const byName = new Map(rows.map((row) => [nameOf(row), row]));
  return [...byName].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
}

async function answerOf(store: JobStore | StoreCore, { name, args }: Call): Promise<Answer> {
  try {
    const value = await (store[name] as Method)(...structuredClone(args));
    return { value: ordered(name, value) };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { refusal: `${error.constructor.name}: ${error.message}` };
  }
}

/** What the port lets anyone see. */
async function everythingIn(store: JobStore | StoreCore) {
  const refs = TENANTS.flatMap((tenantId) => JOB_IDS.map((jobId) => ({ tenantId, jobId })));
  const rows = ordered("getJobs", await store.getJobs(refs));
  const events = await Promise.all(refs.map((ref) => store.listEvents(ref)));
  const tombstones = await Promise.all(refs.map((ref) => store.hasTombstone(ref)));
  return { rows, events, tombstones, workers: ordered("readWorkers", await store.readWorkers()) };
}

function agree(spanner: unknown, model: unknown, trace: readonly string[]): void {
  if (isDeepStrictEqual(spanner, model)) return;
  expect(spanner, trace.join("\n")).toStrictEqual(model);
}

describeOnSpanner("the model and Spanner", (emulator) => {
  let store: JobStore;
  let wiper: Wiper;
  beforeAll(async () => {
    const database = await emulator().createDatabase("migrated");
    store = spannerStoreOf(database);
    await store.start();
    wiper = await createWiper(database);
  });
  afterAll(async () => {
    await wiper?.close();
    await store?.stop();
  });

  it("answer every sequence of calls alike, and hold the same in the end", async () => {
    let [runs, calls] = [0, 0];
    const property = fc.asyncProperty(
      fc.array(step, { maxLength: MAX_STEPS, size: "max" }),
      async (steps) => {
        await wiper.wipe();
        const { deploymentId } = await store.meta();
        const model = createModelCore({ deploymentId });
        const trace: string[] = [];
        for (const each of steps) {
          const call = settled(each.callOn(model));
          if (call === undefined) continue;
          trace.push(`${call.name}(${call.args.map((arg) => JSON.stringify(arg)).join(", ")})`);
          agree(await answerOf(store, call), await answerOf(model, call), trace);
          calls += 1;
        }
        agree(await everythingIn(store), await everythingIn(model), trace);
        runs += 1;
      },
    );
    // Nothing is shrunk: with a database that takes its time that could last for hours. The failure prints the calls.
    const bounds = { numRuns: RUNS, interruptAfterTimeLimit: WITHIN_MS, endOnFailure: true };
    await fc.assert(property, bounds);
    process.stdout.write(`model and Spanner agreed on ${calls} calls in ${runs} sequences\n`);
    expect(calls).toBeGreaterThan(100);
  });
});
