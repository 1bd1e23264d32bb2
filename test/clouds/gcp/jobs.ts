import type { protos } from "@google-cloud/batch";
import type { Clock, Timer } from "#pkg/clock/index.ts";
import type { Program, Runner } from "./runners.ts";

type Job = protos.google.cloud.batch.v1.IJob;
type Event = protos.google.cloud.batch.v1.IStatusEvent;

export type State =
  | "QUEUED"
  | "SCHEDULED"
  | "RUNNING"
  | "SUCCEEDED"
  | "FAILED"
  | "CANCELLATION_IN_PROGRESS"
  | "CANCELLED"
  | "DELETION_IN_PROGRESS";

/** How long the cloud takes for what; milliseconds. */
export interface Delays {
  /** From QUEUED to SCHEDULED, and from there to RUNNING. */
  readonly queueMs: number;
  readonly startMs: number;
  /** From the job's RUNNING to its task's. Default 0. */
  readonly assignMs?: number;
  /** From CANCELLATION_IN_PROGRESS to CANCELLED, and from DELETION_IN_PROGRESS to gone. */
  readonly stopMs: number;
  readonly deleteMs: number;
}

/** Why a job is to fail. */
export interface Failure {
  /** Of the task; undefined where it never came to one. */
  readonly exitCode?: number;
  /** What Batch says beside its usual sentence: `due to Spot VM preemption`. */
  readonly words?: string;
}

/** One job of the cloud and its way through the states; each change is told in the job's events, as Batch words them. */
export interface CloudJob {
  readonly id: string;
  /** Counts the jobs of the cloud. */
  readonly order: number;
  readonly requestId: string;
  readonly createdAtMs: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: State;
  /** How often its program was started. */
  readonly starts: number;
  /** What it was asked to run. */
  readonly program: Program;
  /** The job as `GetJob` tells of it. */
  view(): Job;
  taskEvents(): readonly Event[];
  /** Goes on from QUEUED, if it was held there. */
  release(): void;
  /** Tells, and changes no state, why it does not go on. */
  delay(words: string): void;
  cancel(): void;
  fail(failure: Failure): void;
  /** Begins to delete it; `onGone` when that is done. */
  remove(onGone: () => void): void;
  /** Stops whatever of it runs, without a word. */
  abandon(): void;
}

export interface CloudJobOptions {
  readonly id: string;
  readonly order: number;
  readonly name: string;
  readonly requestId: string;
  readonly asked: Job;
  readonly clock: Clock;
  readonly runner: Runner;
  readonly delays: Delays;
  readonly isHeld: boolean;
}

const ENDED: readonly State[] = ["SUCCEEDED", "FAILED", "CANCELLED"];
const ZONE = "zones/us-central1-a/instances/1234567890";

export function createCloudJob(options: CloudJobOptions): CloudJob {
  const { id, name, asked, clock, runner, delays } = options;
  const createdAtMs = clock.nowMs();
  const jobEvents: Event[] = [];
  const taskEvents: Event[] = [];
  let state: State = "QUEUED";
  let taskState = "PENDING";
  let starts = 0;
  let updatedAtMs = createdAtMs;
  let next: Timer | undefined;
  let limit: Timer | undefined;
  let kill: (() => void) | undefined;
  const program = programOf(id, asked);

  function tell(to: State, more = ""): void {
    updatedAtMs = clock.nowMs();
    jobEvents.push({
      type: "STATUS_CHANGED",
      description: `Job state is set from ${state} to ${to} for job ${name}.${more}`,
      eventTime: timestamp(updatedAtMs),
    });
    state = to;
  }

  function tellTask(to: string, more = "", exitCode?: number): string {
    const description = `Task state is updated from ${taskState} to ${to} on ${ZONE}${more}.`;
    taskEvents.push({
      type: "STATUS_CHANGED",
      description,
      eventTime: timestamp(clock.nowMs()),
      taskState: to as "RUNNING",
      ...(exitCode !== undefined && { taskExecution: { exitCode } }),
    });
    taskState = to;
    return description;
  }

  function rest(): void {
    next?.cancel();
    limit?.cancel();
    kill?.();
    kill = undefined;
  }

  function release(): void {
    if (state !== "QUEUED") return;
    next = clock.timer(delays.queueMs, () => {
      tell("SCHEDULED");
      next = clock.timer(delays.startMs, run);
    });
  }

  function run(): void {
    tell("RUNNING");
    tellTask("ASSIGNED");
    if (!delays.assignMs) runTask();
    else next = clock.timer(delays.assignMs, runTask);
  }

  function runTask(): void {
    tellTask("RUNNING");
    starts += 1;
    const limitMs = Number(asked.taskGroups?.[0]?.taskSpec?.maxRunDuration?.seconds ?? 0) * 1000;
    if (limitMs > 0) {
      limit = clock.timer(limitMs, () =>
        fail({ exitCode: 50005, words: " due to task runs over the maximum runtime" }),
      );
    }
    kill = runner.start(program, exited);
  }

  function exited(code: number): void {
    if (state !== "RUNNING") return;
    kill = undefined;
    if (code !== 0) {
      fail({ exitCode: code });
      return;
    }
    rest();
    tellTask("SUCCEEDED");
    tell("SUCCEEDED");
  }

  function fail({ exitCode, words = "" }: Failure): void {
    if (ENDED.includes(state)) return;
    rest();
    if (exitCode === undefined) {
      tell("FAILED", ` ${words}`);
      return;
    }
    const said = tellTask("FAILED", `${words} with exit code ${exitCode}`, exitCode);
    tell(
      "FAILED",
      `Job failed due to task failure. Specifically, task with index 0 failed due to the following task event: "${said}"`,
    );
  }

  if (!options.isHeld) release();

  return {
    id,
    order: options.order,
    requestId: options.requestId,
    createdAtMs,
    labels: asked.labels ?? {},
    program,
    get state() {
      return state;
    },
    get starts() {
      return starts;
    },
    view: () => ({
      ...asked,
      name,
      uid: `uid-${id}`,
      taskGroups: (asked.taskGroups ?? []).map((group) => ({ ...group, name: `${name}/taskGroups/group0` })),
      createTime: timestamp(createdAtMs),
      updateTime: timestamp(updatedAtMs),
      status: { state, statusEvents: [...jobEvents] },
    }),
    taskEvents: () => taskEvents,
    release,
    delay(words) {
      const eventTime = timestamp(clock.nowMs());
      jobEvents.push({ type: "OPERATIONAL_INFO", description: words, eventTime });
    },
    cancel() {
      if (state === "CANCELLATION_IN_PROGRESS") return;
      rest();
      tell("CANCELLATION_IN_PROGRESS");
      next = clock.timer(delays.stopMs, () => tell("CANCELLED"));
    },
    fail,
    remove(onGone) {
      rest();
      tell("DELETION_IN_PROGRESS");
      next = clock.timer(delays.deleteMs, onGone);
    },
    abandon: rest,
  };
}

function programOf(batchJobId: string, asked: Job): Program {
  const task = asked.taskGroups?.[0]?.taskSpec;
  const container = task?.runnables?.[0]?.container;
  return {
    batchJobId,
    entrypoint: container?.entrypoint ?? "",
    commands: container?.commands ?? [],
    env: task?.environment?.variables ?? {},
  };
}

function timestamp(ms: number) {
  return { seconds: Math.floor(ms / 1000), nanos: Math.floor((ms % 1000) * 1e6) };
}
