import { describe, expect, test } from "vitest";
import { createManualClock } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import type { BatchJob, BatchTask, Connection } from "./connection.ts";
import { createReader } from "./describe.ts";
import { CallError } from "./faults.ts";

const never = new AbortController().signal;

test("lists that were denied are tried again after ten minutes, and warned of once", async () => {
  const clock = createManualClock();
  const warnings: string[] = [];
  const log = createLogger({
    level: LogLevel.Warn,
    format: LogFormat.Json,
    destination: { write: (line) => void warnings.push(line) },
  });
  const calls: string[] = [];
  const connection: Connection = {
    call(method) {
      calls.push(method);
      const isList = method === "listJobs";
      const permission = isList ? "batch.jobs.list" : undefined;
      return Promise.reject(
        new CallError(isList ? "PERMISSION_DENIED" : "NOT_FOUND", "no", { wasSent: true, permission }),
      );
    },
    checkCredentials: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const reader = createReader(connection, { projectId: "p", region: "r" }, { clock, log });
  const id = "j00000000-0197a2b4-0000-7000-8000-000000000000-1";
  const ask = () => reader.describe([id], never);

  await ask();
  await ask();
  expect(calls).toEqual(["listJobs", "getJob", "getJob"]);
  expect(reader.maxDescribe).toBe(1);
  await clock.advance(600_000);
  expect(reader.maxDescribe).toBe(100);
  await ask();
  expect(calls.slice(3)).toEqual(["listJobs", "getJob"]);
  expect(warnings).toHaveLength(1);
});

describe("a failed batch job whose task alone tells why", () => {
  const id = "j00000000-0197a2b4-0000-7000-8000-000000000000-1";
  const other = "j00000000-0197a2b4-0000-7000-8000-000000000001-1";
  const jobs: readonly BatchJob[] = [
    { name: `projects/p/locations/r/jobs/${id}`, status: { state: "FAILED" } },
    { name: `projects/p/locations/r/jobs/${other}`, status: { state: "RUNNING" } },
  ];
  const task: BatchTask = {
    status: { statusEvents: [{ taskState: "FAILED", taskExecution: { exitCode: 7 } }] },
  };

  /** A reader of a cloud whose lists tell of both jobs, and whose task is read as the test says. */
  function readerOf(getTask: (signal: AbortSignal) => Promise<BatchTask>) {
    const clock = createManualClock();
    const connection: Connection = {
      call: (method, _, { signal }) =>
        (method === "getTask" ? getTask(signal) : Promise.resolve({ jobs })) as Promise<never>,
      checkCredentials: () => Promise.resolve(),
      close: () => Promise.resolve(),
    };
    const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
    const reader = createReader(connection, { projectId: "p", region: "r" }, { clock, log });
    return { clock, ask: () => reader.describe([id, other], never) };
  }
  const internal = () => Promise.reject(new CallError("INTERNAL", "oh", { wasSent: true }));

  test("is told of with its exit code once the task can be read, and not before", async () => {
    let reads = 0;
    const { ask } = readerOf(() => (++reads === 1 ? internal() : Promise.resolve(task)));
    const before = await ask();
    expect([before.has(id), before.get(id)]).toEqual([true, undefined]);
    expect((await ask()).get(id)).toMatchObject({ phase: "FAILED", reason: "EXIT_CODE", exitCode: 7 });
  });

  test("is told of without a reason when the task could not be read for ten minutes", async () => {
    const { clock, ask } = readerOf(internal);
    for (let waitedMs = 0; waitedMs < 600_000; waitedMs += 30_000) {
      expect((await ask()).get(id)).toBeUndefined();
      await clock.advance(30_000);
    }
    expect((await ask()).get(id)).toMatchObject({ phase: "FAILED", exitCode: undefined });
  });

  test("holds up the others no longer than three seconds where no answer comes", async () => {
    const silent = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const { clock, ask } = readerOf(silent);
    const answers: Awaited<ReturnType<typeof ask>>[] = [];
    void ask().then((states) => answers.push(states));
    await clock.advance(3_000);
    expect(answers).toEqual([
      new Map([
        [id, undefined],
        [other, expect.objectContaining({ phase: "RUNNING" })],
      ]),
    ]);
  });
});
