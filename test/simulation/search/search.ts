import { type ChildProcess, fork } from "node:child_process";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import type { Bug } from "#test/simulation/bugs/bug.ts";
import type { Batch, BatchEnd, Failure } from "./batch.ts";
import type { ChildMessage } from "./child.ts";

export interface SearchOptions {
  readonly from: number;
  readonly seeds: number;
  readonly bug: Bug | undefined;
  /** Processes that share the work. Default: one for each core. */
  readonly processes?: number;
  /** The program that each of them runs. Default: `child.ts`. */
  readonly program?: string;
  readonly onProgress: (soFar: SearchEnd) => void;
}

export interface SearchEnd {
  /** How many seeds were run to their end. */
  readonly seeds: number;
  /** The lowest seed that broke a promise. */
  readonly failure: Failure | undefined;
  readonly counts: ReadonlyMap<string, number>;
  /** How often each promise was put to the test. */
  readonly tests: ReadonlyMap<string, number>;
  readonly events: ReadonlyMap<string, number>;
  readonly simulatedMs: number;
  readonly acts: number;
}

/** Seeds that a process takes at a time. */
const BATCH = 25;
const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url));

/**
 * Runs seeds in processes of their own until all are done or one has broken a promise; then those before it are still run,
 * so that the same search always finds the same seed.
 * @throws Error when one of the processes dies; the others end with the seeds that they have.
 */
export async function search(options: SearchOptions): Promise<SearchEnd> {
  const endSeed = options.from + options.seeds;
  const counts = new Map<string, number>();
  const tests = new Map<string, number>();
  const events = new Map<string, number>();
  let next = options.from;
  let soFar: SearchEnd = { seeds: 0, failure: undefined, counts, tests, events, simulatedMs: 0, acts: 0 };

  function nextBatch(): Batch | undefined {
    const limit = Math.min(endSeed, soFar.failure?.seed ?? endSeed);
    if (next >= limit) return undefined;
    const batch = { from: next, count: Math.min(BATCH, limit - next) };
    next += batch.count;
    return batch;
  }

  function take(end: BatchEnd): void {
    sum(counts, end.counts);
    sum(tests, end.tests);
    sum(events, end.events);
    const isFirst =
      end.failure !== undefined && end.failure.seed < (soFar.failure?.seed ?? Number.POSITIVE_INFINITY);
    soFar = {
      seeds: soFar.seeds + end.seeds,
      failure: isFirst ? end.failure : soFar.failure,
      counts,
      tests,
      events,
      simulatedMs: soFar.simulatedMs + end.simulatedMs,
      acts: soFar.acts + end.acts,
    };
    options.onProgress(soFar);
  }

  async function work(): Promise<void> {
    const child = fork(options.program ?? CHILD, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    try {
      if (options.bug !== undefined) send(child, { kind: "bug", bug: options.bug });
      for (let batch = nextBatch(); batch !== undefined; batch = nextBatch()) take(await runIn(child, batch));
    } catch (error) {
      next = endSeed;
      throw error;
    } finally {
      if (child.connected) child.disconnect();
    }
  }

  const processes = Math.min(options.processes ?? availableParallelism(), Math.ceil(options.seeds / BATCH));
  const works = await Promise.allSettled(Array.from({ length: processes }, work));
  const dead = works.find((each) => each.status === "rejected");
  if (dead !== undefined) throw dead.reason;
  return soFar;
}

function runIn(child: ChildProcess, batch: Batch): Promise<BatchEnd> {
  return new Promise((resolve, reject) => {
    const onDeath = () => reject(new Error(`the process that ran seeds ${batch.from} and following died`));
    if (!child.connected || child.exitCode !== null || child.signalCode !== null) return onDeath();
    child.once("exit", onDeath);
    child.once("error", onDeath);
    child.once("message", (end) => {
      child.off("exit", onDeath);
      child.off("error", onDeath);
      resolve(end as BatchEnd);
    });
    send(child, { kind: "batch", batch });
  });
}

function send(child: ChildProcess, message: ChildMessage): void {
  // Where it cannot be sent, the process is dead, which whoever waits for its answer learns from its exit.
  child.send(message, () => undefined);
}

// Not `batch.ts`'s: that would load the simulated code here, before a bug is armed for a replay.
function sum(counts: Map<string, number>, more: Readonly<Record<string, number>>): void {
  for (const [kind, number] of Object.entries(more)) counts.set(kind, (counts.get(kind) ?? 0) + number);
}
