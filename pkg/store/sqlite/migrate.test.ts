import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import { type Database, MEMORY, openDatabase, sql } from "./database.ts";
import { openMigrated } from "./migrate.ts";

const OBJECTS = sql`SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name`;

/** What a database is made of, without comments and layout. */
function schemaOf(db: Database): unknown {
  const words = (text: unknown) => String(text).replaceAll(/--.*$/gm, "").replaceAll(/\s+/g, " ");
  return db.all(OBJECTS).map((row) => ({ ...row, sql: words(row.sql) }));
}

describe("migrations", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "jennah-migrate-"));
    path = join(folder, "jennah.db");
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** What the attempt to open fails with. */
  function faultOf(file: string): unknown {
    try {
      openMigrated(file, "d").close();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  function change(text: string): void {
    const db = openDatabase(path, { readOnly: false });
    db.exec(text);
    db.close();
  }

  it("schema.sql is the sum of the migrations", () => {
    const migrated = openMigrated(MEMORY, "d");
    const written = openDatabase(MEMORY, { readOnly: false });
    written.exec(readFileSync(new URL("../../../database/sqlite/schema.sql", import.meta.url), "utf8"));
    expect(schemaOf(migrated)).toEqual(schemaOf(written));
  });

  it("a database is made once, and opened as it is from then on", () => {
    openMigrated(path, "first").close();
    const again = openMigrated(path, "second");
    expect(again.get(sql`SELECT deployment_id, schema_version, oldest_level FROM meta`)).toEqual({
      deployment_id: "first",
      schema_version: 1,
      oldest_level: 1,
    });
    again.close();
  });

  it("commits are on the disk, and foreign keys hold", () => {
    const db = openMigrated(path, "d");
    expect(db.get(sql`PRAGMA journal_mode`)).toEqual({ journal_mode: "wal" });
    expect(db.get(sql`PRAGMA synchronous`)).toEqual({ synchronous: 2 });
    expect(db.get(sql`PRAGMA foreign_keys`)).toEqual({ foreign_keys: 1 });
    db.close();
  });

  it("a newer schema that this code may still use is left as it is", () => {
    openMigrated(path, "d").close();
    change("UPDATE meta SET schema_version = 99");
    const db = openMigrated(path, "d");
    expect(db.get(sql`SELECT schema_version FROM meta`)).toEqual({ schema_version: 99 });
    db.close();
  });

  it("a schema that needs a newer release is refused, saying what to do", () => {
    openMigrated(path, "d").close();
    change("UPDATE meta SET schema_version = 99, oldest_level = 98");
    const fault = faultOf(path);
    expect(fault).toBeInstanceOf(StartupError);
    expect(fault).toMatchObject({ exitCode: ExitCode.Config, message: /start the newer release/ });
  });

  it("folders on the way are made", () => {
    expect(faultOf(join(folder, "a", "b", "jennah.db"))).toBeUndefined();
  });

  it.each([
    ["a file that is no database", "not an SQLite database", () => writeFileSync(path, "x".repeat(8192))],
    [
      "a damaged database",
      "damaged",
      () => {
        openMigrated(path, "d").close();
        const bytes = readFileSync(path);
        bytes.fill(0xff, 100, 8192);
        writeFileSync(path, bytes);
      },
    ],
  ])("%s is refused, naming the file and what is wrong", (_, words, spoil) => {
    spoil();
    const fault = faultOf(path);
    expect(fault).toBeInstanceOf(StartupError);
    expect(String(fault)).toContain(path);
    expect(String(fault)).toContain(words);
  });

  it("a path whose folder cannot be is refused, naming the setting", () => {
    writeFileSync(path, "");
    const fault = faultOf(join(path, "jennah.db"));
    expect(fault).toBeInstanceOf(StartupError);
    expect(fault).toMatchObject({ exitCode: ExitCode.Config, message: /DB_PATH/ });
    // A folder, where the file should be.
    const taken = join(folder, "taken");
    mkdirSync(taken);
    expect(faultOf(taken)).toBeInstanceOf(StartupError);
  });
});
