import { checkUpdates } from "#pkg/store/index.ts";
import { MEMORY } from "#pkg/store/sqlite/database.ts";
import { openMigrated } from "#pkg/store/sqlite/migrate.ts";
import { reads, urgentWrites, type WriteContext, writes } from "#pkg/store/sqlite/operations.ts";
import { createTenantCache } from "#pkg/store/sqlite/tenant-cache.ts";
import type { StoreCore } from "./core.ts";

/**
 * The operations of the real SQLite adapter over a database in memory, on the calling thread: each write in a transaction
 * of its own, as its writer's thread runs it when nothing else waits.
 */
export function createSqliteCore({ deploymentId }: { readonly deploymentId: string }): StoreCore {
  const db = openMigrated(MEMORY, deploymentId);
  const context: WriteContext = { db, tenants: createTenantCache() };

  function write<T>(run: (context: WriteContext) => T): T {
    db.exec("BEGIN IMMEDIATE");
    try {
      const result = run(context);
      db.exec("COMMIT");
      context.tenants.committed();
      return result;
    } catch (error) {
      context.tenants.undo();
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    }
  }

  return {
    ping: () => reads.ping(db),
    meta: () => reads.meta(db),
    setKeyFingerprint: (expected, next) => write((on) => writes.setKeyFingerprint(on, expected, next)),
    insertJobs: (jobs) => write((on) => writes.insertJobs(on, jobs)),
    updateJobs(updates) {
      checkUpdates(updates);
      return write((on) => writes.updateJobs(on, updates));
    },
    leaveRequest: (ref, request, by) => write((on) => writes.leaveRequest(on, ref, request, by)),
    deleteJob: (deletion) => write((on) => writes.deleteJob(on, deletion)),
    getJobs: (refs) => reads.getJobs(db, refs),
    hasTombstone: (ref) => reads.hasTombstone(db, ref),
    findKey: (tenantId, key) => reads.findKey(db, tenantId, key),
    listEvents: (ref) => reads.listEvents(db, ref),
    listJobs: (query) => reads.listJobs(db, query),
    lookUpJobs: (jobIds) => reads.lookUpJobs(db, jobIds),
    findRequests: (owner, after, limit) => reads.findRequests(db, owner, after, limit),
    findOwned: (owner, after, limit) => reads.findOwned(db, owner, after, limit),
    claimJobs: (request) => write((on) => writes.claimJobs(on, request)),
    hasJobsOf: (dead) => reads.hasJobsOf(db, dead),
    markEmptied: (workerId, throughTerm) => write((on) => writes.markEmptied(on, workerId, throughTerm)),
    readWorkers: () => reads.readWorkers(db),
    beginTerm: (begin) => write((on) => urgentWrites.beginTerm(on, begin)),
    renewTerm: (owner, instance, now) => write((on) => urgentWrites.renewTerm(on, owner, instance, now)),
    expireTerm: (owner, beat) => write((on) => urgentWrites.expireTerm(on, owner, beat)),
    endTerm: (owner, instance) => write((on) => urgentWrites.endTerm(on, owner, instance)),
    purge: (nowMs, limit) => write((on) => writes.purge(on, nowMs, limit)),
    close: () => db.close(),
  };
}
