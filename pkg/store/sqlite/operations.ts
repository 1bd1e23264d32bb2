import type { JobRef, Owner } from "#pkg/job/index.ts";
import type {
  ClaimRequest,
  DeadTerms,
  Deletion,
  JobUpdate,
  ListQuery,
  NewJob,
  RequestKind,
} from "#pkg/store/jobs.ts";
import type { BeginTerm } from "#pkg/store/workers.ts";
import { claimJobs, hasJobsOf } from "./claim.ts";
import type { Database } from "./database.ts";
import { deleteJob, purge } from "./delete.ts";
import { listEvents } from "./events.ts";
import { findKey, getJobs, hasTombstone, lookUpJobs } from "./get.ts";
import { insertJobs } from "./insert.ts";
import { listJobs } from "./list.ts";
import { ping, readMeta, setKeyFingerprint } from "./meta.ts";
import { findOwned, findRequests, leaveRequest } from "./requests.ts";
import type { TenantCache } from "./tenant-cache.ts";
import { beginTerm, endTerm, expireTerm, markEmptied, readWorkers, renewTerm } from "./terms.ts";
import { updateJobs } from "./update.ts";

/** What reads run on: any connection. */
export const reads = {
  ping: (db: Database) => ping(db),
  meta: (db: Database) => readMeta(db),
  getJobs: (db: Database, refs: readonly JobRef[]) => getJobs(db, refs),
  hasTombstone: (db: Database, ref: JobRef) => hasTombstone(db, ref),
  findKey: (db: Database, tenantId: string, key: string) => findKey(db, tenantId, key),
  listEvents: (db: Database, ref: JobRef) => listEvents(db, ref),
  listJobs: (db: Database, query: ListQuery) => listJobs(db, query),
  lookUpJobs: (db: Database, jobIds: readonly string[]) => lookUpJobs(db, jobIds),
  findRequests: (db: Database, owner: Owner, after: JobRef | undefined, limit: number) =>
    findRequests(db, owner, after, limit),
  findOwned: (db: Database, owner: Owner, after: JobRef | undefined, limit: number) =>
    findOwned(db, owner, after, limit),
  hasJobsOf: (db: Database, dead: DeadTerms) => hasJobsOf(db, dead),
  readWorkers: (db: Database) => readWorkers(db),
};

/** What writes run on: the writer's connection, inside a transaction. */
export interface WriteContext {
  readonly db: Database;
  readonly tenants: TenantCache;
}

/** Writes in the order they came, many to a transaction. */
export const writes = {
  setKeyFingerprint: ({ db }: WriteContext, expected: string | undefined, next: string) =>
    setKeyFingerprint(db, expected, next),
  insertJobs: ({ db, tenants }: WriteContext, jobs: readonly NewJob[]) => insertJobs(db, tenants, jobs),
  updateJobs: ({ db }: WriteContext, updates: readonly JobUpdate[]) => updateJobs(db, updates),
  leaveRequest: ({ db }: WriteContext, ref: JobRef, request: RequestKind, by: RequestAuthor) =>
    leaveRequest(db, ref, request, by),
  deleteJob: ({ db }: WriteContext, deletion: Deletion) => deleteJob(db, deletion),
  claimJobs: ({ db }: WriteContext, request: ClaimRequest) => claimJobs(db, request),
  markEmptied: ({ db }: WriteContext, workerId: string, throughTerm: number) =>
    markEmptied(db, workerId, throughTerm),
  purge: ({ db }: WriteContext, nowMs: number, limit: number) => purge(db, nowMs, limit),
};

/** Writes that a lease hangs on: before all others, in a transaction of their own. */
export const urgentWrites = {
  beginTerm: ({ db }: WriteContext, begin: BeginTerm) => beginTerm(db, begin),
  renewTerm: ({ db }: WriteContext, owner: Owner, instance: string, now: Renewal) =>
    renewTerm(db, owner, instance, now),
  expireTerm: ({ db }: WriteContext, owner: Owner, beat: number) => expireTerm(db, owner, beat),
  endTerm: ({ db }: WriteContext, owner: Owner, instance: string) => endTerm(db, owner, instance),
};

interface RequestAuthor {
  readonly actor: string;
  readonly atMs: number;
}

interface Renewal {
  readonly load: number;
  readonly draining: boolean;
}

type Operations = typeof reads & typeof writes & typeof urgentWrites;
export type OperationName = keyof Operations;

/** The arguments of an operation, without the connection that it runs on. */
export type ArgumentsOf<N extends OperationName> =
  Parameters<Operations[N]> extends [unknown, ...infer A] ? A : never;
export type ResultOf<N extends OperationName> = ReturnType<Operations[N]>;

/** An operation's name with its arguments, as it is sent to the writer's thread. */
export type Call = {
  readonly [N in OperationName]: { readonly name: N; readonly args: ArgumentsOf<N> };
}[OperationName];

/** About how many rows a write changes, so that a transaction stays short. */
export function weightOf(call: Call): number {
  switch (call.name) {
    case "insertJobs":
    case "updateJobs":
      return call.args[0].length;
    case "claimJobs":
      return call.args[0].limit;
    case "purge":
      return call.args[1];
    default:
      return 1;
  }
}
