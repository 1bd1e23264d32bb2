import type { BatchJobState } from "#pkg/batch/index.ts";
import type { Clock } from "#pkg/clock/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { BatchJob, CallOptions, Connection } from "./connection.ts";
import { asUnavailable, isAboutLocation, isAboutProject, isStatus } from "./faults.ts";
import { filterOfJobs } from "./labels.ts";
import { batchJobIdOfName, type Location, nameOf, parentOf } from "./names.ts";
import { isUnexplained, stateOf } from "./observe.ts";

/** Batch jobs in one page of a listing: what Google's lists give at most; the cloud may give fewer. */
export const PAGE_SIZE = 1000;

/** Questions about single batch jobs that are under way at once. */
const GETS_AT_ONCE = 5;

/** Ids in one question: the filter names each, and stays below ten KiB. */
const MAX_DESCRIBE = 100;

/** When lists are tried again after one was denied: an operator may have mended the role. */
const LIST_AGAIN_MS = 600_000;

/** Reads batch jobs, by lists as long as those are allowed. */
export interface Reader {
  /** How many ids one question takes well: many by a list, one where each must be asked for. */
  readonly maxDescribe: number;
  describe(batchJobIds: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, BatchJobState>>;
  /** One batch job; undefined when there is none. @throws CallError */
  get(batchJobId: string, signal: AbortSignal): Promise<BatchJob | undefined>;
  /** Every page of a listing; none when this account may not list. @throws CallError */
  list(filter: string, signal: AbortSignal): AsyncIterable<readonly BatchJob[]>;
}

export function createReader(
  connection: Connection,
  location: Location,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Reader {
  let deniedUntilMs = 0;
  let hasWarned = false;
  const mayList = () => clock.monotonicMs() >= deniedUntilMs;

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
      if (!hasWarned) {
        log.warn(
          { err: error },
          "the permission batch.jobs.list is missing: batch jobs are asked for one by one, and there is no inventory",
        );
      }
      hasWarned = true;
      deniedUntilMs = clock.monotonicMs() + LIST_AGAIN_MS;
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

  async function withTask(job: BatchJob, signal: AbortSignal): Promise<BatchJobState | undefined> {
    if (!isUnexplained(job)) return stateOf(job);
    try {
      const [group] = job.taskGroups ?? [];
      const name = `${group?.name || `${job.name}/taskGroups/group0`}/tasks/0`;
      return stateOf(job, await connection.call("getTask", { name }, { signal }));
    } catch (error) {
      // A job that never had a task has none to tell of; and it is failed whether or not its task may be read.
      if (isStatus(error, "NOT_FOUND", "PERMISSION_DENIED")) return stateOf(job);
      throw error;
    }
  }

  return {
    get maxDescribe() {
      return mayList() ? MAX_DESCRIBE : 1;
    },
    async describe(batchJobIds, signal) {
      try {
        const jobs = await listed(batchJobIds, signal);
        const ids = new Set(jobs.map(({ name }) => batchJobIdOfName(name ?? "")));
        // Lists may lag behind; what one does not tell of is asked for by name before it counts as missing.
        const missing = batchJobIds.filter((id) => !ids.has(id));
        const gotten = await inGroups(missing, (id) => get(id, signal));
        const states = await inGroups([...jobs, ...gotten], (job) => withTask(job, signal));
        return new Map(states.map((state) => [state.batchJobId, state]));
      } catch (error) {
        throw asUnavailable(error);
      }
    },
    get,
    list,
  };
}

/** Whether it is the right to list that is missing; some answers do not say which right is. */
function isListDenied(error: unknown): boolean {
  const permission = "batch.jobs.list";
  return (
    isStatus(error, "PERMISSION_DENIED") &&
    !isAboutProject(error) &&
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
