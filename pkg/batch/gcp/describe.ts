import type { BatchJobState } from "#pkg/batch/index.ts";
import { type Clock, withTimeout } from "#pkg/clock/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { BatchJob, CallOptions, Connection } from "./connection.ts";
import { asUnavailable, CallError, isAboutLocation, isAboutOne, isAboutProject, isStatus } from "./faults.ts";
import { filterOfJobs } from "./labels.ts";
import { batchJobIdOfName, type Location, nameOf, parentOf } from "./names.ts";
import { isUnexplained, stateOf } from "./observe.ts";

/** Batch jobs in one page of a listing: what Google's lists give at most; the cloud may give fewer. */
export const PAGE_SIZE = 1000;

/** Questions about single batch jobs that are under way at once. */
const GETS_AT_ONCE = 5;

/** The longest that one of them may take, so that one without an answer leaves the others their time. */
const GET_TIMEOUT_MS = 3_000;

/**
 * How long the reason of a failure is waited for where its task cannot be read just now. After that the batch job is told as
 * failed for a reason that is not known: a job that never ends is worse.
 */
const TASK_PATIENCE_MS = 600_000;

/** Ids in one question: the filter names each, and stays below ten KiB. */
const MAX_DESCRIBE = 100;

/** When lists are tried again after one was denied: an operator may have mended the role. */
const LIST_AGAIN_MS = 600_000;

/** Reads batch jobs, by lists as long as those are allowed. */
export interface Reader {
  /** How many ids one question takes well: many by a list, one where each must be asked for. */
  readonly maxDescribe: number;
  /** As in the port: `undefined` stands for what is there, or may be, and could not be read now. @throws UnavailableError */
  describe(
    batchJobIds: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, BatchJobState | undefined>>;
  /** One batch job; undefined when there is none. @throws CallError */
  get(batchJobId: string, signal: AbortSignal): Promise<BatchJob | undefined>;
  /** Every page of a listing; none when this account may not list. @throws CallError */
  list(filter: string, signal: AbortSignal): AsyncIterable<readonly BatchJob[]>;
}

/** What is known from one call of the port to the next. Moments are monotonic. */
export interface Memory {
  /** No list is tried before. */
  deniedUntilMs: number;
  hasWarned: boolean;
  /** Failed batch jobs whose task could not be read, and since when. */
  readonly unexplainedSinceMs: Map<string, number>;
}

export function createMemory(): Memory {
  return { deniedUntilMs: 0, hasWarned: false, unexplainedSinceMs: new Map() };
}

export function createReader(
  connection: Connection,
  location: Location,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
  memory: Memory = createMemory(),
): Reader {
  const { unexplainedSinceMs } = memory;
  const mayList = () => clock.monotonicMs() >= memory.deniedUntilMs;

  async function get(batchJobId: string, signal: AbortSignal): Promise<BatchJob | undefined> {
    try {
      return await connection.call("getJob", { name: nameOf(location, batchJobId) }, { signal });
    } catch (error) {
      // About the project or the region it says nothing about the batch job.
      if (isStatus(error, "NOT_FOUND") && !isAboutLocation(error.message)) return undefined;
      throw error;
    }
  }

  async function* list(filter: string, signal: AbortSignal): AsyncGenerator<readonly BatchJob[]> {
    let pageToken = "";
    do {
      const request = { parent: parentOf(location), filter, pageSize: PAGE_SIZE, pageToken };
      const page = await nextPage(request, { signal });
      if (page === undefined) return;
      yield page.jobs ?? [];
      pageToken = page.nextPageToken ?? "";
    } while (pageToken !== "");
  }

  async function nextPage(request: Parameters<typeof connection.call<"listJobs">>[1], options: CallOptions) {
    if (!mayList()) return undefined;
    try {
      return await connection.call("listJobs", request, options);
    } catch (error) {
      if (!isListDenied(error)) throw error;
      if (!memory.hasWarned) {
        log.warn(
          { err: error },
          "the permission batch.jobs.list is missing: batch jobs are asked for one by one, and there is no inventory",
        );
      }
      memory.hasWarned = true;
      memory.deniedUntilMs = clock.monotonicMs() + LIST_AGAIN_MS;
      return undefined;
    }
  }

  /** Those that a list told of, as far as the question was about them. */
  async function listed(batchJobIds: readonly string[], signal: AbortSignal): Promise<readonly BatchJob[]> {
    const filter = filterOfJobs(batchJobIds);
    const wanted = new Set(batchJobIds);
    const found: BatchJob[] = [];
    if (filter === undefined) return found;
    for await (const page of list(filter, signal)) {
      // The filter goes by job, and finds earlier attempts as well.
      found.push(...page.filter((job) => wanted.has(batchJobIdOfName(job.name ?? ""))));
    }
    return found;
  }

  /** @throws CallError where the job failed and why cannot be told yet. */
  async function withTask(job: BatchJob, signal: AbortSignal): Promise<BatchJobState | undefined> {
    if (!isUnexplained(job)) return stateOf(job);
    const batchJobId = batchJobIdOfName(job.name ?? "");
    try {
      const [group] = job.taskGroups ?? [];
      const name = `${group?.name || `${job.name}/taskGroups/group0`}/tasks/0`;
      const state = stateOf(job, await connection.call("getTask", { name }, { signal }));
      unexplainedSinceMs.delete(batchJobId);
      return state;
    } catch (error) {
      if (!isAboutOne(error)) throw error;
      // A job that never had a task has none to tell of; and it is failed whether or not its task may be read.
      if (!isFinal(error) && !isPatienceOver(batchJobId)) throw error;
      unexplainedSinceMs.delete(batchJobId);
      return stateOf(job);
    }
  }

  function isPatienceOver(batchJobId: string): boolean {
    const now = clock.monotonicMs();
    // What is still asked for is over by then; the others went to another owner, and begin anew should they come back.
    for (const [id, sinceMs] of unexplainedSinceMs) {
      if (now - sinceMs > 2 * TASK_PATIENCE_MS) unexplainedSinceMs.delete(id);
    }
    const sinceMs = unexplainedSinceMs.get(batchJobId) ?? now;
    unexplainedSinceMs.set(batchJobId, sinceMs);
    return now - sinceMs >= TASK_PATIENCE_MS;
  }

  async function describe(
    batchJobIds: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, BatchJobState | undefined>> {
    const unread = new Map<string, CallError>();

    /** Reads something of one batch job; undefined where that does not work now. */
    async function read<T>(batchJobId: string, work: (signal: AbortSignal) => Promise<T>) {
      try {
        return await withTimeout(clock, GET_TIMEOUT_MS, late, work, signal);
      } catch (error) {
        if (!isAboutOne(error)) throw error;
        unread.set(batchJobId, error);
        return undefined;
      }
    }

    const jobs = await listed(batchJobIds, signal);
    const ids = new Set(jobs.map(({ name }) => batchJobIdOfName(name ?? "")));
    // Lists may lag behind; what one does not tell of is asked for by name before it counts as missing.
    const missing = batchJobIds.filter((id) => !ids.has(id));
    const gotten = await inGroups(missing, (id) => read(id, (ends) => get(id, ends)));
    const [first] = unread.values();
    // Nothing was answered at all: then it is the cloud, and no single batch job.
    if (first !== undefined && unread.size === batchJobIds.length && !mayList()) throw first;
    const states = await inGroups([...jobs, ...gotten], (job) =>
      read(batchJobIdOfName(job.name ?? ""), (ends) => withTask(job, ends)),
    );
    for (const [batchJobId, error] of unread) {
      log.warn(
        { err: error, batch_job_id: batchJobId },
        "a batch job could not be read, and is asked for again",
      );
    }
    return new Map<string, BatchJobState | undefined>([
      ...states.map((state) => [state.batchJobId, state] as const),
      ...[...unread.keys()].map((batchJobId) => [batchJobId, undefined] as const),
    ]);
  }

  return {
    get maxDescribe() {
      return mayList() ? MAX_DESCRIBE : 1;
    },
    async describe(batchJobIds, signal) {
      try {
        return await describe(batchJobIds, signal);
      } catch (error) {
        throw asUnavailable(error);
      }
    },
    get,
    list,
  };
}

function late(): CallError {
  const words = `no answer within ${GET_TIMEOUT_MS / 1_000} s`;
  return new CallError("DEADLINE_EXCEEDED", words, { wasSent: true });
}

/** Whether the cloud has answered that this cannot be read, and would answer the same again. */
function isFinal(error: CallError): boolean {
  return isStatus(
    error,
    "NOT_FOUND",
    "PERMISSION_DENIED",
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
  );
}

/**
 * Whether it is the region that is refused, and no permission: Google's front door answers so where there is no such region,
 * in the same words as where the project may not use it.
 */
export function isRegionDenied(error: CallError): boolean {
  if (error.permission !== undefined) return false;
  return (
    ["LOCATION_POLICY_VIOLATED", "LOCATION_ACCESS_DENIED"].includes(error.reason ?? "") ||
    /\bdenied on '?locations\//i.test(error.message) ||
    isAboutLocation(error.message)
  );
}

/** Whether it is the right to list that is missing; some answers do not say which right is. */
function isListDenied(error: unknown): boolean {
  const permission = "batch.jobs.list";
  return (
    isStatus(error, "PERMISSION_DENIED") &&
    !isAboutProject(error) &&
    !isRegionDenied(error) &&
    (error.permission ?? permission) === permission
  );
}

/** A few at a time, leaving out what came to nothing. */
async function inGroups<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R | undefined>,
): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < items.length; from += GETS_AT_ONCE) {
    const group = await Promise.all(items.slice(from, from + GETS_AT_ONCE).map(work));
    results.push(...group.filter((each) => each !== undefined));
  }
  return results;
}
