import { dirname } from "node:path";
// Not by its index: the writing thread would load what reads settings besides.
import { makeFolder } from "#pkg/config/make-folder.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import { type Database, MEMORY, openDatabase, sql } from "./database.ts";
import { BUSY_WORDS, isBusy, startupFaultOf, unavailable } from "./faults.ts";
import { withFileLock } from "./file-lock.ts";
import { readMigrations } from "./migrations.ts";
import { untilFree } from "./pause.ts";

const HAS_META = sql`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'`;
const LEVELS = sql`SELECT schema_version, oldest_level FROM meta`;
const FIRST_META = sql`
  INSERT INTO meta (only, schema_version, oldest_level, deployment_id) VALUES (1, 1, 1, :deployment)`;
const SET_VERSION = sql`UPDATE meta SET schema_version = :version`;

/**
 * Opens the database for writing, made and brought up to date if need be. Making the file, its switch to WAL and the
 * migrations are one step under a file lock: two who do it at once fail with "database is locked" whatever their busy
 * timeout, because SQLite does not wait where waiting could deadlock.
 *
 * @param deploymentId what the first migration names the deployment.
 * @throws StartupError when the file cannot be used, or a newer release has made it unfit for this one.
 */
export function openMigrated(path: string, deploymentId: string): Database {
  try {
    if (path === MEMORY) return prepare(path, deploymentId);
    makeFolder(dirname(path));
    const database = withFileLock(`${path}.lock`, () => untilFree(() => tryPrepare(path, deploymentId)));
    if (database === undefined) throw unavailable(BUSY_WORDS);
    return database;
  } catch (error) {
    throw startupFaultOf(path, error);
  }
}

/** Processes that are past their own opening, and tools, may hold the database for a moment. */
function tryPrepare(path: string, deploymentId: string): Database | undefined {
  try {
    return prepare(path, deploymentId);
  } catch (error) {
    if (isBusy(error)) return undefined;
    throw error;
  }
}

function prepare(path: string, deploymentId: string): Database {
  const db = openDatabase(path, { readOnly: false });
  try {
    db.exec("PRAGMA journal_mode = WAL");
    // A commit that was answered is on the disk.
    db.exec("PRAGMA synchronous = FULL");
    // A log that grew behind a long read, of a backup say, gives its disk back.
    db.exec("PRAGMA journal_size_limit = 67108864");
    migrate(db, path, deploymentId);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: Database, path: string, deploymentId: string): void {
  const migrations = readMigrations();
  const present = versionOf(db, path, migrations.length);
  if (present >= migrations.length) return;
  db.exec("BEGIN IMMEDIATE");
  for (const { version, text } of migrations.slice(present)) {
    db.exec(text);
    if (version === 1) db.run(FIRST_META, { deployment: deploymentId });
    db.run(SET_VERSION, { version });
  }
  db.exec("COMMIT");
}

function versionOf(db: Database, path: string, newest: number): number {
  if (db.get(HAS_META) === undefined) return 0;
  const { schema_version: version, oldest_level: oldest } = db.get(LEVELS) ?? {};
  if (Number(oldest) > newest) {
    throw new StartupError(
      `the database ${path} has schema ${version}, which needs a release that knows schema ${oldest}; this one knows ` +
        `${newest}: start the newer release, or restore the database from before it`,
      ExitCode.Config,
    );
  }
  return Number(version);
}
