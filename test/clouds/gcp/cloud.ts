import type { protos } from "@google-cloud/batch";
import type { Clock } from "#pkg/clock/index.ts";
import { parseFilter } from "./filter.ts";
import { type CloudJob, createCloudJob, type Delays, type Failure } from "./jobs.ts";
import { refuse } from "./refusal.ts";
import { createPlayRunner, type Program, type Runner } from "./runners.ts";

type V1Job = protos.google.cloud.batch.v1.IJob;
type Requests = {
  create: protos.google.cloud.batch.v1.ICreateJobRequest;
  list: protos.google.cloud.batch.v1.IListJobsRequest;
};

export interface CloudOptions {
  readonly clock: Clock;
  readonly projectId: string;
  readonly region: string;
  /** Default: plays programs by what they say. */
  readonly runner?: Runner;
  readonly delays?: Partial<Delays>;
  /** The most that a page of a list holds, whatever is asked for. Default 1000. */
  readonly maxPage?: number;
  /** How long a job is there before lists tell of it; milliseconds. Default 0. */
  readonly listLagMs?: number;
  /** What a create under a request id that was answered before comes to. Default `ALREADY_EXISTS`. */
  readonly repeats?: "ALREADY_EXISTS" | "FIRST_ANSWER";
}

/** GCP Batch as far as one region of one project goes: names, states over time, lists. */
export interface Cloud {
  create(request: Requests["create"]): V1Job;
  get(name: string): V1Job;
  getTask(name: string): protos.google.cloud.batch.v1.ITask;
  list(request: Requests["list"]): protos.google.cloud.batch.v1.IListJobsResponse;
  cancel(name: string): protos.google.longrunning.IOperation;
  delete(name: string): protos.google.longrunning.IOperation;
  operation(name: string): protos.google.longrunning.IOperation;

  /** Every job that is there. */
  readonly jobs: readonly { readonly id: string; readonly state: string; readonly starts: number }[];
  /** How many jobs were ever made under this name, and how often a program of them was started. */
  made(id: string): number;
  starts(id: string): number;
  program(id: string): Program | undefined;
  /** Keeps a job of this name in QUEUED, now or when it is made, until `release`. */
  hold(id: string): void;
  release(id: string): void;
  /** Tells in these words why a job does not go on from the state that it is in. */
  delay(id: string, words: string): void;
  fail(id: string, failure: Failure): void;
  /** The job is gone without a trace, and what it ran goes on unseen. */
  vanish(id: string): void;
  /** Reads say NOT_FOUND for so long, while the name is taken. */
  hide(id: string, ms: number): void;
  /** Lists lag so far behind from now on. */
  lagLists(ms: number): void;
  close(): void;
}

const DELAYS: Delays = { queueMs: 5, startMs: 5, stopMs: 5, deleteMs: 5 };
const JOB_ID = /^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$/;
const LABEL = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u;
const ENDED = ["SUCCEEDED", "FAILED", "CANCELLED"];

export function createCloud(options: CloudOptions): Cloud {
  const { clock } = options;
  const parent = `projects/${options.projectId}/locations/${options.region}`;
  const runner = options.runner ?? createPlayRunner(clock);
  const delays = { ...DELAYS, ...options.delays };
  const jobs = new Map<string, CloudJob>();
  const made = new Map<string, number>();
  /** Of jobs that are gone. */
  const pastStarts = new Map<string, number>();
  const hiddenUntilMs = new Map<string, number>();
  const held = new Set<string>();
  let operations = 0;
  let orders = 0;
  let listLagMs = options.listLagMs ?? 0;

  function checkParent(given: string | null | undefined): void {
    if (given === parent) return;
    const location = given?.split("/")[3] ?? "";
    // Google's front door does not tell a region that is not there from one that may not be used.
    refuse("PERMISSION_DENIED", `Permission denied on 'locations/${location}' (or it may not exist).`, {
      reason: "LOCATION_POLICY_VIOLATED",
      metadata: { consumer: `projects/${options.projectId}`, location },
    });
  }

  function idOf(name: string): string {
    checkParent(name.split("/").slice(0, 4).join("/"));
    return name.split("/")[5] ?? "";
  }

  function find(name: string): CloudJob {
    const id = idOf(name);
    const job = jobs.get(id);
    const isHidden = (hiddenUntilMs.get(id) ?? 0) > clock.monotonicMs();
    if (job === undefined || isHidden) refuse("NOT_FOUND", `Resource '${name}' was not found`);
    return job;
  }

  function operation(verb: string, target: string): protos.google.longrunning.IOperation {
    operations += 1;
    return { name: `${parent}/operations/${verb}-${operations}-${target}`, done: false };
  }

  function forget(job: CloudJob): void {
    pastStarts.set(job.id, (pastStarts.get(job.id) ?? 0) + job.starts);
    if (jobs.get(job.id) === job) jobs.delete(job.id);
  }

  return {
    create(request) {
      checkParent(request.parent);
      const id = request.jobId ?? "";
      const asked = request.job ?? {};
      checkJob(id, asked);
      const present = jobs.get(id);
      if (present !== undefined) {
        const isRepeat = request.requestId !== "" && request.requestId === present.requestId;
        if (isRepeat && options.repeats === "FIRST_ANSWER") return present.view();
        refuse("ALREADY_EXISTS", `Resource '${parent}/jobs/${id}' already exists`);
      }
      orders += 1;
      const job = createCloudJob({
        id,
        order: orders,
        name: `${parent}/jobs/${id}`,
        requestId: request.requestId ?? "",
        asked,
        clock,
        runner,
        delays,
        isHeld: held.has(id),
      });
      jobs.set(id, job);
      made.set(id, (made.get(id) ?? 0) + 1);
      return job.view();
    },
    get: (name) => find(name).view(),
    getTask(name) {
      const job = find(name.split("/").slice(0, 6).join("/"));
      if (job.taskEvents().length === 0) refuse("NOT_FOUND", `Resource '${name}' was not found`);
      return { name, status: { statusEvents: [...job.taskEvents()] } };
    },
    list(request) {
      checkParent(request.parent);
      const matches = parseFilter(request.filter ?? "");
      const now = clock.nowMs();
      const found = [...jobs.values()].filter(
        (job) =>
          job.createdAtMs + listLagMs <= now &&
          !((hiddenUntilMs.get(job.id) ?? 0) > clock.monotonicMs()) &&
          matches(job),
      );
      const size = Math.min(request.pageSize || 100, options.maxPage ?? 1000);
      // By when they were made, so that what leaves the filter between two pages moves no other.
      const rest = found.filter(({ order }) => order > Number(request.pageToken || 0));
      const page = rest.slice(0, size);
      return {
        jobs: page.map((job) => job.view()),
        nextPageToken: page.length === rest.length ? "" : String(page.at(-1)?.order),
      };
    },
    cancel(name) {
      const job = find(name);
      if (ENDED.includes(job.state))
        refuse("FAILED_PRECONDITION", `Job ${name} is already in state ${job.state}`);
      job.cancel();
      return operation("cancel", job.id);
    },
    delete(name) {
      const job = find(name);
      job.remove(() => forget(job));
      return operation("delete", job.id);
    },
    operation(name) {
      const [, verb, id = ""] = /operations\/(cancel|delete)-\d+-(.*)$/.exec(name) ?? [];
      if (verb === undefined) refuse("NOT_FOUND", `Resource '${name}' was not found`);
      const state = jobs.get(id)?.state;
      const done = verb === "delete" ? state === undefined : state !== "CANCELLATION_IN_PROGRESS";
      return { name, done };
    },

    get jobs() {
      return [...jobs.values()].map(({ id, state, starts }) => ({ id, state, starts }));
    },
    made: (id) => made.get(id) ?? 0,
    starts: (id) => (pastStarts.get(id) ?? 0) + (jobs.get(id)?.starts ?? 0),
    program: (id) => jobs.get(id)?.program,
    hold(id) {
      held.add(id);
    },
    release(id) {
      held.delete(id);
      jobs.get(id)?.release();
    },
    delay: (id, words) => jobs.get(id)?.delay(words),
    fail: (id, failure) => jobs.get(id)?.fail(failure),
    vanish(id) {
      const job = jobs.get(id);
      if (job !== undefined) forget(job);
    },
    hide(id, ms) {
      hiddenUntilMs.set(id, clock.monotonicMs() + ms);
    },
    lagLists(ms) {
      listLagMs = ms;
    },
    close() {
      for (const job of jobs.values()) job.abandon();
    },
  };
}

/** What the API checks before it takes a job. */
function checkJob(id: string, job: V1Job): void {
  const invalid = (words: string) => refuse("INVALID_ARGUMENT", words);
  if (!JOB_ID.test(id)) invalid(`Invalid job_id: ${id}`);
  const [group] = job.taskGroups ?? [];
  const [runnable] = group?.taskSpec?.runnables ?? [];
  if (!runnable?.container?.imageUri) invalid("container.image_uri is required");
  if (Number(job.priority ?? 0) < 0 || Number(job.priority ?? 0) > 99)
    invalid("priority must be in [0, 100)");
  if (Number(group?.taskSpec?.maxRetryCount ?? 0) > 10) invalid("max_retry_count must be in [0, 10]");
  const labels = Object.entries(job.labels ?? {});
  if (labels.length > 64) invalid("at most 64 labels are allowed");
  for (const [key, value] of labels) {
    if (!/^[\p{Ll}\p{Lo}]/u.test(key) || !LABEL.test(key) || !LABEL.test(value))
      invalid(`Invalid label: ${key}=${value}`);
  }
}
