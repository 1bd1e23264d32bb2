import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import { createService } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { checkUpdates } from "#pkg/store/check-updates.ts";
import type { JobStore } from "#pkg/store/job-store.ts";
import { claimJobs, hasJobsOf } from "./claim.ts";
import { type Database, openDatabase } from "./database.ts";
import { deleteJob, purge } from "./delete.ts";
import { listEvents } from "./events.ts";
import { startupFaultOf, unavailable } from "./faults.ts";
import { findKey, getJobs, hasTombstone, lookUpJobs } from "./get.ts";
import { insertJobs } from "./insert.ts";
import { listJobs } from "./list.ts";
import { findMeta, ping, readDataKey, readMeta, setKeyFingerprint } from "./meta.ts";
import { readMigrations } from "./migrations.ts";
import { findOwned, findRequests, leaveRequest } from "./requests.ts";
import { createTenantCache } from "./tenant-cache.ts";
import { beginTerm, endTerm, expireTerm, markEmptied, readWorkers, renewTerm } from "./terms.ts";
import { updateJobs } from "./update.ts";

export interface SpannerStoreOptions {
  /** The project that the instance is in (`DB_PROJECT_ID`), the instance (`DB_INSTANCE`) and the database (`DB_DATABASE`). */
  readonly project: string;
  readonly instance: string;
  readonly database: string;
  /** Waits between tries and ends them. Not asked for the time of any row: that comes with each call. */
  readonly clock: Clock;
  /** Jitter. */
  readonly entropy: Entropy;
  readonly log: Logger;
}

/**
 * Inserts or updates in one call. An insert changes about 80 cells with its indexes, its key and its event, and Spanner takes
 * 80 000 in a commit.
 */
const MAX_GROUP = 200;

/** A store in a Cloud Spanner database. See `JobStore` for what it promises. */
export function createSpannerStore(options: SpannerStoreOptions): JobStore {
  const { project, instance, database, log } = options;
  const path = `${project}/${instance}/${database}`;
  const tenants = createTenantCache();
  let opened: Database | undefined;

  const service = createService({
    name: "store",
    async start() {
      try {
        const db = openDatabase(options);
        opened = db;
        await checkSchema(db, path);
        log.info({}, `Connected to Spanner: ${path}`);
      } catch (error) {
        throw startupFaultOf(options, error);
      }
    },
    async stop() {
      const db = opened;
      opened = undefined;
      await db?.close();
    },
  });

  async function on<T>(work: (db: Database) => Promise<T>): Promise<T> {
    if (opened === undefined) throw unavailable("it is not open");
    return await work(opened);
  }

  return {
    capabilities: { maxGroup: MAX_GROUP },
    start: () => service.start(),
    stop: () => service.stop(),
    ping: () => on(ping),
    meta: () => on(readMeta),
    setKeyFingerprint: (expected, next) => on((db) => setKeyFingerprint(db, expected, next)),
    dataKey: () => on(async (db) => ({ key: await readDataKey(db), besideData: true })),
    insertJobs: (jobs) => on((db) => insertJobs(db, tenants, jobs)),
    async updateJobs(updates) {
      checkUpdates(updates);
      return await on((db) => updateJobs(db, updates));
    },
    leaveRequest: (ref, request, by) => on((db) => leaveRequest(db, ref, request, by)),
    deleteJob: (deletion) => on((db) => deleteJob(db, deletion)),
    getJobs: (refs) => on((db) => getJobs(db, refs)),
    hasTombstone: (ref) => on((db) => hasTombstone(db, ref)),
    findKey: (tenantId, key) => on((db) => findKey(db, tenantId, key)),
    listEvents: (ref) => on((db) => listEvents(db, ref)),
    listJobs: (query) => on((db) => listJobs(db, query)),
    lookUpJobs: (jobIds) => on((db) => lookUpJobs(db, jobIds)),
    findRequests: (owner, after, limit) => on((db) => findRequests(db, owner, after, limit)),
    findOwned: (owner, after, limit) => on((db) => findOwned(db, owner, after, limit)),
    claimJobs: (request) => on((db) => claimJobs(db, request)),
    hasJobsOf: (dead) => on((db) => hasJobsOf(db, dead)),
    markEmptied: (workerId, throughTerm) => on((db) => markEmptied(db, workerId, throughTerm)),
    readWorkers: () => on(readWorkers),
    beginTerm: (begin) => on((db) => beginTerm(db, begin)),
    renewTerm: (owner, worker, now) => on((db) => renewTerm(db, owner, worker, now)),
    expireTerm: (owner, beat) => on((db) => expireTerm(db, owner, beat)),
    endTerm: (owner, worker) => on((db) => endTerm(db, owner, worker)),
    purge: (nowMs, limit) => on((db) => purge(db, nowMs, limit)),
  };
}

/** @throws StartupError where the schema is not one that this code can work with. */
async function checkSchema(db: Database, path: string): Promise<void> {
  const newest = readMigrations().length;
  const meta = await findMeta(db);
  const refuse = (words: string) =>
    new StartupError(`the Spanner database ${path} ${words}`, ExitCode.Config);
  if (meta === undefined) throw refuse("has no schema yet: run `npm run migrate`");
  const { schemaVersion, oldestLevel } = meta;
  if (oldestLevel > newest) {
    throw refuse(
      `has schema ${schemaVersion}, which needs a release that knows schema ${oldestLevel}; this one knows ${newest}: ` +
        "start the newer release (`npm run migrate` of that one made it so), or restore the database from before it",
    );
  }
  if (schemaVersion < newest) {
    throw refuse(`has schema ${schemaVersion}, and this release needs ${newest}: run \`npm run migrate\``);
  }
}
