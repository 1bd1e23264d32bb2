import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExitCode } from "#pkg/errors/index.ts";
import { startNode } from "#test/support/node-process.ts";

describe("npm run migrate", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "jennah-migrate-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function run(env: Readonly<Record<string, string>>) {
    const child = startNode("cmd/migrate/main.ts", env);
    const { code } = await child.ended;
    return { code, lines: child.lines };
  }

  it("makes the file of SQLite, and leaves it as it is the next time", async () => {
    const path = join(folder, "jennah.db");
    const told = { code: ExitCode.Ok, lines: [`SQLite ${path}`, "  schema 1, up to date"] };
    expect(await run({ DB_PROVIDER: "sqlite", DB_PATH: path })).toEqual(told);
    expect(await run({ DB_PROVIDER: "sqlite", DB_PATH: path })).toEqual(told);
  });

  it("asks for the store's settings and no others, and tells all faults at once", async () => {
    expect(await run({})).toEqual({
      code: ExitCode.Config,
      lines: ["DB_PROVIDER: is required: one of sqlite, spanner"],
    });
    expect(await run({ DB_PROVIDER: "spanner" })).toEqual({
      code: ExitCode.Config,
      lines: ["DB_PROJECT_ID: is required", "DB_INSTANCE: is required", "DB_DATABASE: is required"],
    });
  });
});
