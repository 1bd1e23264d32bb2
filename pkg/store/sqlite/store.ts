import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { createService } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { checkUpdates } from "#pkg/store/check-updates.ts";
import type { JobStore } from "#pkg/store/job-store.ts";
import { readOrMakeKey } from "./data-key.ts";
import { type Database, MEMORY, openDatabase } from "./database.ts";
import { faultOf, isBusy, startupFaultOf, unavailable } from "./faults.ts";
import { type ArgumentsOf, type OperationName, type ResultOf, reads } from "./operations.ts";
import { startWriter, type Writer } from "./writer.ts";

export interface SqliteStoreOptions {
  /**
   * The database file (`DB_PATH`); it and its folder are made if need be, and beside it lie `-wal` and `-shm`, `.lock`
   * and `.key`. It must be on a disk of this machine: WAL does not work over a network. `:memory:` is a database of this
   * one handle, gone with it, for tests.
   */
  readonly path: string;
  /** Not asked for the time of any row: that comes with each call. Locks are waited for in the machine's own time. */
  readonly clock: Clock;
  /** Makes the deployment's id and its data key. */
  readonly entropy: Entropy;
  readonly log: Logger;
}

/** Inserts or updates in one call: about a millisecond of the writer's lock for every ten. */
const MAX_GROUP = 200;

type ReadName = keyof typeof reads;

/** A store in one file, for as many processes of one machine as like. See `JobStore` for what it promises. */
export function createSqliteStore(options: SqliteStoreOptions): JobStore {
  const { path, entropy, log } = options;
  let writer: Writer | undefined;
  let reader: Database | undefined;
  let memoryKey: Uint8Array | undefined;

  const service = createService({
    name: "store",
    async start() {
      writer = await startWriter({ path, deploymentId: createUuid(entropy) }, log);
      reader = path === MEMORY ? undefined : openReader(path);
    },
    async stop() {
      reader?.close();
      reader = undefined;
      await writer?.close();
    },
  });

  async function call<N extends OperationName>(name: N, ...args: ArgumentsOf<N>): Promise<ResultOf<N>> {
    if (writer === undefined) throw unavailable("it is not open");
    return await writer.call(name, ...args);
  }

  /**
   * Reads run here, on a connection of their own: they never wait for a writer, see the last commit, and are short (a
   * page of 50 takes about a millisecond), while the thread would have them wait behind commits. Only where the file is being
   * recovered or closed by another process does a reader meet a lock: then the thread, which can wait, reads instead.
   */
  async function read<N extends ReadName>(name: N, ...args: ArgumentsOf<N>): Promise<ResultOf<N>> {
    if (reader === undefined) return await call(name, ...args);
    try {
      // Called with the arguments of its own name.
      return (reads[name] as (db: Database, ...args: readonly unknown[]) => ResultOf<N>)(reader, ...args);
    } catch (error) {
      if (isBusy(error)) return await call(name, ...args);
      throw faultOf(error);
    }
  }

  return {
    capabilities: { maxGroup: MAX_GROUP },
    start: () => service.start(),
    stop: () => service.stop(),
    async ping() {
      // Reads go past the writing thread; a store that cannot be written is not there.
      if (writer?.fault !== undefined) throw writer.fault;
      return await read("ping");
    },
    meta: () => read("meta"),
    setKeyFingerprint: (expected, next) => call("setKeyFingerprint", expected, next),
    async dataKey() {
      if (path !== MEMORY) return { key: await readOrMakeKey(`${path}.key`, entropy), besideData: false };
      memoryKey ??= entropy.bytes(32);
      return { key: memoryKey, besideData: false };
    },
    insertJobs: (jobs) => call("insertJobs", jobs),
    async updateJobs(updates) {
      checkUpdates(updates);
      return await call("updateJobs", updates);
    },
    leaveRequest: (ref, request, by) => call("leaveRequest", ref, request, by),
    deleteJob: (deletion) => call("deleteJob", deletion),
    getJobs: (refs) => read("getJobs", refs),
    hasTombstone: (ref) => read("hasTombstone", ref),
    findKey: (tenantId, key) => read("findKey", tenantId, key),
    listEvents: (ref) => read("listEvents", ref),
    listJobs: (query) => read("listJobs", query),
    lookUpJobs: (jobIds) => read("lookUpJobs", jobIds),
    findRequests: (owner, after, limit) => read("findRequests", owner, after, limit),
    findOwned: (owner, after, limit) => read("findOwned", owner, after, limit),
    claimJobs: (request) => call("claimJobs", request),
    hasJobsOf: (dead) => read("hasJobsOf", dead),
    markEmptied: (workerId, throughTerm) => call("markEmptied", workerId, throughTerm),
    readWorkers: () => read("readWorkers"),
    beginTerm: (begin) => call("beginTerm", begin),
    renewTerm: (owner, instance, now) => call("renewTerm", owner, instance, now),
    expireTerm: (owner, beat) => call("expireTerm", owner, beat),
    endTerm: (owner, instance) => call("endTerm", owner, instance),
    purge: (nowMs, limit) => call("purge", nowMs, limit),
  };
}

function openReader(path: string): Database {
  try {
    return openDatabase(path, { readOnly: true });
  } catch (error) {
    throw startupFaultOf(path, error);
  }
}

/** A random UUID (version 4). */
function createUuid(entropy: Entropy): string {
  const bytes = Buffer.from(entropy.bytes(16));
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
