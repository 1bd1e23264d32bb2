import { createHash } from "node:crypto";
import type { JobStore } from "#pkg/store/index.ts";
import type { StoreCore } from "./core.ts";

/** Inserts or updates in one call, as many as the SQLite adapter takes. */
const MAX_GROUP = 200;

/**
 * A core as the port: each call is done at once and answered asynchronously. Several handles may share a core; whoever
 * made it closes it. The data key follows from the deployment's id, so it is the same for all and the same in each run; it
 * protects nothing.
 */
export function asJobStore(core: StoreCore): JobStore {
  return {
    capabilities: { maxGroup: MAX_GROUP },
    start: async () => {},
    stop: async () => {},
    ping: async () => core.ping(),
    meta: async () => core.meta(),
    setKeyFingerprint: async (expected, next) => core.setKeyFingerprint(expected, next),
    dataKey: async () => ({ key: dataKeyOf(core.meta().deploymentId), besideData: false }),
    insertJobs: async (jobs) => core.insertJobs(jobs),
    updateJobs: async (updates) => core.updateJobs(updates),
    leaveRequest: async (ref, request, by) => core.leaveRequest(ref, request, by),
    deleteJob: async (deletion) => core.deleteJob(deletion),
    getJobs: async (refs) => core.getJobs(refs),
    hasTombstone: async (ref) => core.hasTombstone(ref),
    findKey: async (tenantId, key) => core.findKey(tenantId, key),
    listEvents: async (ref) => core.listEvents(ref),
    listJobs: async (query) => core.listJobs(query),
    lookUpJobs: async (jobIds) => core.lookUpJobs(jobIds),
    findRequests: async (owner, after, limit) => core.findRequests(owner, after, limit),
    findOwned: async (owner, after, limit) => core.findOwned(owner, after, limit),
    claimJobs: async (request) => core.claimJobs(request),
    hasJobsOf: async (dead) => core.hasJobsOf(dead),
    markEmptied: async (workerId, throughTerm) => core.markEmptied(workerId, throughTerm),
    readWorkers: async () => core.readWorkers(),
    beginTerm: async (begin) => core.beginTerm(begin),
    renewTerm: async (owner, instance, now) => core.renewTerm(owner, instance, now),
    expireTerm: async (owner, beat) => core.expireTerm(owner, beat),
    endTerm: async (owner, instance) => core.endTerm(owner, instance),
    purge: async (nowMs, limit) => core.purge(nowMs, limit),
  };
}

function dataKeyOf(deploymentId: string): Uint8Array {
  return new Uint8Array(createHash("sha256").update(deploymentId).digest());
}
