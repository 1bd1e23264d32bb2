import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import { openDatabase } from "#pkg/store/spanner/database.ts";
import { type MigrationProgress, migrate } from "#pkg/store/spanner/index.ts";
import { META_KEY } from "#pkg/store/spanner/meta.ts";
import { readMigrations, splitStatements } from "#pkg/store/spanner/migrations.ts";
import { type Bindings, integer } from "#pkg/store/spanner/values.ts";
import { startNode } from "#test/support/node-process.ts";
import { describeOnSpanner, spannerStoreOf, storeOptions } from "#test/support/spanner-emulator.ts";

const newest = readMigrations().length;
describeOnSpanner("the schema in Spanner", (emulator) => {
  const quietly = (database: string) => migrate({ ...storeOptions(database), onProgress: () => undefined });

  /** What the attempt to start a store on it fails with. */
  async function faultOf(database: string): Promise<unknown> {
    const store = spannerStoreOf(database);
    const fault = await store.start().catch((error: unknown) => error);
    await store.stop();
    return fault;
  }

  async function setMeta(database: string, columns: Bindings): Promise<void> {
    const db = openDatabase(storeOptions(database));
    await db.transact(async (transaction) => {
      await transaction.read("Meta", ["MetaId"], [[META_KEY.MetaId]]);
      transaction.update("Meta", { ...META_KEY, ...columns });
    });
    await db.close();
  }

  /** `npm run migrate`, as a process. */
  async function command(env: Readonly<Record<string, string>>) {
    const child = startNode("cmd/migrate/main.ts", { SPANNER_EMULATOR_HOST: emulator().host, ...env });
    const { code } = await child.ended;
    return { code, lines: child.lines };
  }

  const settingsOf = (database: string) => {
    const { project, instance } = storeOptions(database);
    return { DB_PROVIDER: "spanner", DB_PROJECT_ID: project, DB_INSTANCE: instance, DB_DATABASE: database };
  };

  describe("migrations of Spanner", () => {
    it("an empty database is made whole, and what is whole is left as it is", async () => {
      const database = await emulator().createDatabase([]);
      const progress: MigrationProgress[] = [];
      const options = {
        ...storeOptions(database),
        onProgress: (each: MigrationProgress) => progress.push(each),
      };
      expect(await migrate(options)).toEqual({ from: 0, to: newest });
      expect(progress.at(-1)?.done).toBe(progress.at(-1)?.of);
      const store = spannerStoreOf(database);
      await store.start();
      const meta = await store.meta();
      expect(await quietly(database)).toEqual({ from: newest, to: newest });
      expect(await store.meta()).toEqual(meta);
      expect((await store.dataKey()).besideData).toBe(true);
      await store.stop();
    });

    it("schema.sql is the sum of the migrations", async () => {
      const file = new URL("../../../database/spanner/schema.sql", import.meta.url);
      const written = await emulator().createDatabase(splitStatements(readFileSync(file, "utf8")));
      const migrated = await emulator().createDatabase("migrated");
      expect(await emulator().schemaOf(migrated)).toEqual(await emulator().schemaOf(written));
    });

    it("two who migrate at once make one deployment", async () => {
      const database = await emulator().createDatabase([]);
      await Promise.all([quietly(database), quietly(database)]);
      const store = spannerStoreOf(database);
      await store.start();
      expect((await store.meta()).schemaVersion).toBe(newest);
      await store.stop();
    });

    it("a migration that died on the way is finished by the next", async () => {
      const database = await emulator().createDatabase([]);
      await quietly(database);
      const db = openDatabase(storeOptions(database));
      await db.transact(async (transaction) => {
        await transaction.read("Meta", ["MetaId"], [[META_KEY.MetaId]]);
        transaction.delete("Meta", [META_KEY.MetaId]);
      });
      await db.close();
      expect(await faultOf(database)).toMatchObject({ message: expect.stringContaining("npm run migrate") });
      expect(await quietly(database)).toEqual({ from: 0, to: newest });
      expect(await faultOf(database)).toBeUndefined();
    });
  });

  describe("a store refuses to start, and says what to do", () => {
    const refusal = (words: RegExp) => ({ exitCode: ExitCode.Config, message: expect.stringMatching(words) });

    it("where there is no database", async () => {
      const fault = await faultOf("none");
      expect(fault).toBeInstanceOf(StartupError);
      expect(fault).toMatchObject(
        refusal(/no such database \(DB_DATABASE\).*gcloud spanner databases create none/),
      );
    });

    it("where there is no instance", async () => {
      const store = spannerStoreOf("any", { instance: "elsewhere" });
      const starting = expect(store.start()).rejects;
      await starting.toMatchObject(refusal(/no such (instance|database)/));
      await store.stop();
    });

    it("where there is no schema", async () => {
      const database = await emulator().createDatabase([]);
      expect(await faultOf(database)).toMatchObject(refusal(/no schema yet: run `npm run migrate`/));
    });

    it("where the schema is older than this release needs", async () => {
      const database = await emulator().createDatabase("migrated");
      await setMeta(database, { SchemaVersion: integer(newest - 1) });
      expect(await faultOf(database)).toMatchObject(refusal(/this release needs .*run `npm run migrate`/));
    });

    it("where the schema needs a newer release; but not where it is merely newer", async () => {
      const database = await emulator().createDatabase("migrated");
      await setMeta(database, { SchemaVersion: integer(99) });
      expect(await faultOf(database)).toBeUndefined();
      expect(await quietly(database)).toEqual({ from: 99, to: 99 });
      await setMeta(database, { OldestLevel: integer(98) });
      expect(await faultOf(database)).toMatchObject(refusal(/start the newer release/));
    });
  });

  describe("npm run migrate", () => {
    it("shows how far it is, and a second run finds nothing to do", async () => {
      const database = await emulator().createDatabase([]);
      const first = await command(settingsOf(database));
      expect(first).toMatchObject({ code: ExitCode.Ok });
      expect(first.lines[0]).toBe(`Spanner test-project/test-instance/${database}`);
      expect(first.lines.at(-2)).toMatch(/^ {2}0001_begin +\d+ of +\d+ +\d+\.\d s$/);
      expect(first.lines.at(-1)).toBe(`  schema ${newest}, up to date; was 0`);
      const second = await command(settingsOf(database));
      expect(second).toEqual({
        code: ExitCode.Ok,
        lines: [first.lines[0], `  schema ${newest}, up to date already`],
      });
    });

    it("bad settings end it with 78 and every fault", async () => {
      const { code, lines } = await command({ DB_PROVIDER: "spanner", DB_INSTANCE: "i" });
      expect(code).toBe(ExitCode.Config);
      expect(lines).toEqual(["DB_PROJECT_ID: is required", "DB_DATABASE: is required"]);
    });

    it("a database that is not there ends it with 78", async () => {
      const { code, lines } = await command(settingsOf("none"));
      expect(code).toBe(ExitCode.Config);
      expect(lines.join("\n")).toContain("gcloud spanner databases create none");
    });

    it("an outage ends it with 1, within its time", async () => {
      // Nothing listens on the first port.
      const { code } = await command({ ...settingsOf("any"), SPANNER_EMULATOR_HOST: "127.0.0.1:1" });
      expect(code).toBe(ExitCode.Failed);
    });
  });
});
