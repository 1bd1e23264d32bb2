import { type protos, v1 } from "@google-cloud/spanner";
import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { ExitCode, errorMessage, StartupError } from "#pkg/errors/index.ts";
import { clientOptions } from "./connection.ts";
import { type Database, type DatabaseOptions, openDatabase } from "./database.ts";
import { isSchemaMissing, startupFaultOf } from "./faults.ts";
import { findMeta, META_KEY } from "./meta.ts";
import { type Migration, readMigrations } from "./migrations.ts";
import type { Sql } from "./reader.ts";
import { bytes, integer, text } from "./values.ts";

type DdlMetadata = protos.google.spanner.admin.database.v1.IUpdateDatabaseDdlMetadata;

/** How often the progress of a change of the schema is asked for. Milliseconds. */
const ASK_EVERY_MS = 500;
/** How often a change that meets another one is tried: for a minute. */
const MOST_TRIES = 120;

export interface MigrateOptions extends DatabaseOptions {
  readonly clock: Clock;
  readonly entropy: Entropy;
  /** Told of each migration when it begins, when a statement of it is done, and when it is over. */
  onProgress(progress: MigrationProgress): void;
}

export interface MigrationProgress {
  readonly name: string;
  readonly done: number;
  readonly of: number;
}

/**
 * Brings the schema up to date while workers run: every statement adds, and may be run again, so that two who migrate at
 * once, or one that comes after one that died, do no harm. The version is raised when a migration is whole.
 *
 * @returns the schema's version before and after.
 * @throws StartupError when the database cannot be reached or may not be changed.
 */
export async function migrate(
  options: MigrateOptions,
): Promise<{ readonly from: number; readonly to: number }> {
  const db = openDatabase(options);
  try {
    const migrations = readMigrations();
    const from = await versionOf(db);
    for (const migration of migrations.slice(from)) {
      await changeSchema(options, migration);
      await commitVersion(db, migration, options.entropy);
    }
    return { from, to: Math.max(from, migrations.length) };
  } catch (error) {
    throw startupFaultOf(options, error);
  } finally {
    await db.close();
  }
}

/** 0 where nothing was made yet. */
async function versionOf(db: Database): Promise<number> {
  const meta = await findMeta(db).catch((error: unknown) => {
    if (isSchemaMissing(error)) return undefined;
    throw error;
  });
  return meta?.schemaVersion ?? 0;
}

async function changeSchema(options: MigrateOptions, { name: migration, schema }: Migration): Promise<void> {
  const { clock, project, onProgress } = options;
  const tell = (done: number) => onProgress({ name: migration, done, of: schema.length });
  tell(0);
  const client = new v1.DatabaseAdminClient(clientOptions(project));
  // Every call begins with this and awaits it nowhere: a fault would end the process.
  await client.initialize();
  try {
    const name = await beginChange(client, options, schema);
    for (let told = 0; ; ) {
      const state = await client.checkUpdateDatabaseDdlProgress(name);
      // What the operations of this call tell of themselves.
      const metadata = state.metadata as DdlMetadata | null;
      const done = metadata?.commitTimestamps?.length ?? 0;
      if (done > told && done < schema.length) tell(done);
      told = done;
      if (state.done) {
        const failure = state.latestResponse.error;
        if (failure) throw new StartupError(`${migration}: ${failure.message}`, ExitCode.Failed);
        break;
      }
      await clock.sleep(ASK_EVERY_MS);
    }
    tell(schema.length);
  } finally {
    await client.close();
  }
}

/** Spanner lets changes wait for each other, an emulator refuses the second: then it comes again, for a while. */
async function beginChange(
  client: v1.DatabaseAdminClient,
  { clock, project, instance, database }: MigrateOptions,
  schema: readonly string[],
): Promise<string> {
  const request = { database: client.databasePath(project, instance, database), statements: [...schema] };
  for (let tries = 1; ; tries++) {
    try {
      const [operation] = await client.updateDatabaseDdl(request);
      return operation.name ?? "";
    } catch (error) {
      if (!/concurrent schema change/.test(errorMessage(error)) || tries === MOST_TRIES) throw error;
      await clock.sleep(ASK_EVERY_MS);
    }
  }
}

async function commitVersion(db: Database, migration: Migration, entropy: Entropy): Promise<void> {
  const { version, rows } = migration;
  await db.transact(async (transaction) => {
    const meta = await findMeta(transaction);
    if (meta === undefined) {
      transaction.insert("Meta", {
        ...META_KEY,
        SchemaVersion: integer(version),
        OldestLevel: integer(1),
        DeploymentId: text(createUuid(entropy)),
        DataKey: bytes(entropy.bytes(32)),
      });
    } else if (meta.schemaVersion < version) {
      // The files of the release itself.
      for (const statement of rows) await transaction.execute(statement as Sql);
      transaction.update("Meta", { ...META_KEY, SchemaVersion: integer(version) });
    }
  });
}

/** A random UUID (version 4). */
function createUuid(entropy: Entropy): string {
  const random = Buffer.from(entropy.bytes(16));
  random.writeUInt8((random.readUInt8(6) & 0x0f) | 0x40, 6);
  random.writeUInt8((random.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = random.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
