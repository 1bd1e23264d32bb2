import type { JobRef } from "#pkg/job/index.ts";
import type { StoreCore } from "./core.ts";
import { chooseClaim, claimJobs, hasJobsOf } from "./model-claim.ts";
import { deleteJob, purge } from "./model-delete.ts";
import { insertJobs } from "./model-insert.ts";
import { listJobs } from "./model-list.ts";
import { readMeta, setKeyFingerprint } from "./model-meta.ts";
import { findKey, getJobs, hasTombstone, listEvents, lookUpJobs } from "./model-reads.ts";
import { findOwned, findRequests, leaveRequest } from "./model-requests.ts";
import type { ModelState } from "./model-state.ts";
import { beginTerm, endTerm, expireTerm, markEmptied, readWorkers, renewTerm } from "./model-terms.ts";
import { updateJobs } from "./model-update.ts";

export interface ModelCoreOptions {
  readonly deploymentId: string;
  /** Rows that another writer holds now: `claimJobs`, and nothing else, skips them. Default: none. */
  readonly isLocked?: (ref: JobRef) => boolean;
}

/**
 * A database of plain maps, for many runs of few jobs: every search looks at every row. It answers like SQLite, call for
 * call, which `agreement.test.ts` holds. Each guard is a line of its own, so that the simulation can take one away.
 */
export function createModelCore({ deploymentId, isLocked = () => false }: ModelCoreOptions): StoreCore {
  const state: ModelState = {
    deploymentId,
    isLocked,
    jobs: new Map(),
    events: new Map(),
    tombstones: new Map(),
    keys: new Map(),
    workers: new Map(),
    keyFingerprint: undefined,
  };
  return {
    ping: () => undefined,
    meta: () => readMeta(state),
    setKeyFingerprint: (expected, next) => setKeyFingerprint(state, expected, next),
    insertJobs: (jobs) => insertJobs(state, jobs),
    updateJobs: (updates) => updateJobs(state, updates),
    leaveRequest: (ref, request, by) => leaveRequest(state, ref, request, by),
    deleteJob: (deletion) => deleteJob(state, deletion),
    getJobs: (refs) => getJobs(state, refs),
    hasTombstone: (ref) => hasTombstone(state, ref),
    findKey: (tenantId, key) => findKey(state, tenantId, key),
    listEvents: (ref) => listEvents(state, ref),
    listJobs: (query) => listJobs(state, query),
    lookUpJobs: (jobIds) => lookUpJobs(state, jobIds),
    findRequests: (owner, after, limit) => findRequests(state, owner, after, limit),
    findOwned: (owner, after, limit) => findOwned(state, owner, after, limit),
    claimJobs: (request) => claimJobs(state, request),
    chooseClaim: (request) => chooseClaim(state, request),
    hasJobsOf: (dead) => hasJobsOf(state, dead),
    markEmptied: (workerId, throughTerm) => markEmptied(state, workerId, throughTerm),
    readWorkers: () => readWorkers(state),
    beginTerm: (begin) => beginTerm(state, begin),
    renewTerm: (owner, instance, now) => renewTerm(state, owner, instance, now),
    expireTerm: (owner, beat) => expireTerm(state, owner, beat),
    endTerm: (owner, instance) => endTerm(state, owner, instance),
    purge: (nowMs, limit) => purge(state, nowMs, limit),
    close: () => undefined,
  };
}
