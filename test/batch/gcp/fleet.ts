import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toBatchJob } from "#pkg/batch/gcp/spec.ts";
import { type BatchProvider, type CallBudget, createCallBudget } from "#pkg/batch/index.ts";
import { createManualClock, createSeededEntropy, systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createDispatcher, type Dispatcher } from "#pkg/dispatch/index.ts";
import { batchJobIdOf, CreatePhase, JobStatus } from "#pkg/job/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { createInventory, createTracker, type Tracker } from "#pkg/tracking/index.ts";
import { newJob } from "#test/support/new-job.ts";
import { PLACE, providerAt, startCloud } from "./harness.ts";

const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
/** The double counts, and refuses nothing: a rate that is too high is to show. */
const UNLIMITED = { mutations: Number.POSITIVE_INFINITY, reads: Number.POSITIVE_INFINITY };
const NO_ENV = { variables: {}, secretVariables: {}, malformed: [] };
/** How far the clock moves before it waits for what is under way. */
const STEP_MS = 100;

/**
 * Workers, as far as calls to the cloud go: dispatch, tracking and the adapter each, over one store and one region of the
 * double, and an inventory. Time is the test's own and stands still while any call of theirs is under way, so a call takes no
 * time at all: no cloud can be asked faster.
 */
export async function startFleet({ workers, jobs }: { readonly workers: number; readonly jobs: number }) {
  // The calls carry deadlines that are told by the wall clock.
  const clock = createManualClock(systemClock.nowMs());
  const entropy = createSeededEntropy(1);
  const calls = createUnderWay();
  let paid = 0;
  const cloud = await startCloud({ clock, rates: UNLIMITED });
  const folder = await mkdtemp(join(tmpdir(), "jennah-fleet-"));
  const disk = createSqliteStore({
    path: join(folder, "jennah.db"),
    clock: systemClock,
    entropy: systemEntropy,
    log,
  });
  await disk.start();
  const store: JobStore = calls.of(disk);
  const { deploymentId } = await store.meta();

  const members = await Promise.all(Array.from({ length: workers }, (_, index) => startMember(`w${index}`)));
  const target = members[0]?.provider.target ?? "";
  const rows = Array.from({ length: jobs }, (_, index) =>
    newJob({ target, owner: { workerId: `w${index % workers}`, term: 1 } }),
  );
  const idsOf = (attempt: number) => rows.map(({ jobId }) => batchJobIdOf(deploymentId, jobId, attempt));

  function counted(budget: CallBudget): CallBudget {
    return {
      ...budget,
      async take(signal) {
        await budget.take(signal);
        paid += 1;
      },
      spend() {
        budget.spend();
        paid += 1;
      },
    };
  }

  async function startMember(workerId: string) {
    const adapter = providerAt(cloud.endpoint, { clock });
    await adapter.start();
    const provider: BatchProvider = calls.of(adapter);
    const callsPerSecond = () => provider.capabilities.maxCallsPerSecond / workers;
    const targets = [{ provider, budget: counted(createCallBudget({ clock, entropy, callsPerSecond })) }];
    let dispatcher: Dispatcher;
    const onObserved: Dispatcher["observed"] = (...news) => dispatcher.observed(...news);
    const tracker: Tracker = createTracker({ clock, entropy, log, targets, onObserved });
    const reign = { owner: { workerId, term: 1 }, trustedForMs: () => 60_000 };
    const common = { store, clock, entropy, log, deploymentId, targets };
    dispatcher = createDispatcher({
      ...common,
      reign,
      settleMs: 1_000,
      openEnv: () => ({}),
      watcher: tracker,
    });
    const isMine = () => workerId === "w0";
    const services = [dispatcher, tracker, createInventory({ ...common, isMine })];
    for (const service of services) await service.start();
    return {
      workerId,
      provider,
      dispatcher,
      stop: () => [...services, adapter].map((service) => service.stop()),
    };
  }

  return {
    cloud,
    idsOf,
    /** What was taken from the budgets. */
    get paid() {
      return paid;
    },
    /** Inserts the jobs, and has each owner begin its own, all at once. */
    async begin(): Promise<void> {
      const results = await disk.insertJobs(rows);
      for (const [index, result] of results.entries()) {
        if (result.kind !== "inserted") throw new Error("a new id is inserted");
        void members[index % workers]?.dispatcher.begin(result.job, new AbortController().signal);
      }
    },
    /** Has each owner take over its own jobs, which the cloud has been running. */
    async takeOver(): Promise<void> {
      const running = { status: JobStatus.Running, createPhase: CreatePhase.Confirmed };
      for (const result of await disk.insertJobs(rows.map((row) => ({ ...row, ...running })))) {
        if (result.kind !== "inserted") throw new Error("a new id is inserted");
        const { job } = result;
        const batchJobId = batchJobIdOf(deploymentId, job.jobId, job.attempt);
        cloud.create({
          parent: `projects/${PLACE.projectId}/locations/${PLACE.region}`,
          jobId: batchJobId,
          requestId: "",
          job: toBatchJob({ ...job, batchJobId, deploymentId, env: {} }, NO_ENV, {
            region: PLACE.region,
            serviceAccount: "",
          }),
        });
        const owner = members.find(({ workerId }) => workerId === job.owner?.workerId);
        owner?.dispatcher.takeOver([job]);
      }
    },
    /** Leaves a request on each job, for the owners to find. */
    async request(kind: "cancel" | "delete"): Promise<void> {
      const by = { actor: "another", atMs: clock.nowMs() };
      for (const { tenantId, jobId } of rows) await disk.leaveRequest({ tenantId, jobId }, kind, by);
    },
    async pass(ms: number): Promise<void> {
      for (let passed = 0; passed < ms; passed += STEP_MS) {
        await clock.advance(STEP_MS);
        await calls.ended();
      }
    },
    /** The most calls of both kinds in any sixty seconds. */
    busiestMinute(): number {
      let from = 0;
      return cloud.calls.reduce((most, { atMs }, index) => {
        while ((cloud.calls[from]?.atMs ?? 0) <= atMs - 60_000) from += 1;
        return Math.max(most, index - from + 1);
      }, 0);
    },
    async stop(): Promise<void> {
      await Promise.all(members.flatMap((member) => member.stop()));
      await disk.stop();
      await cloud.stop();
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Knows when none of the calls that go through it is under way. */
function createUnderWay() {
  let count = 0;
  let wake = () => {};
  function watched<T>(value: T): T {
    if (!(value instanceof Promise)) return value;
    count += 1;
    const over = () => {
      count -= 1;
      if (count === 0) wake();
    };
    value.then(over, over);
    return value;
  }
  return {
    /** The same port, with its calls counted while they last. */
    of<P extends object>(port: P): P {
      return new Proxy(port, {
        get(from, name) {
          const member: unknown = Reflect.get(from, name);
          if (typeof member !== "function") return member;
          return (...args: unknown[]) => pagesOf(watched(member.apply(from, args)));
        },
      });
    },
    async ended(): Promise<void> {
      do {
        if (count > 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
        // What they were waited for by goes on, perhaps to the next call.
        await systemClock.yield();
      } while (count > 0);
    },
  };

  function pagesOf(answer: unknown): unknown {
    if (typeof answer !== "object" || answer === null || !(Symbol.asyncIterator in answer)) return answer;
    const pages = (answer as AsyncIterable<unknown>)[Symbol.asyncIterator]();
    return { [Symbol.asyncIterator]: () => ({ next: () => watched(pages.next()) }) };
  }
}
