import { createRequire } from "node:module";
import { expect, it } from "vitest";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import { readWorkerSettings } from "#pkg/worker/index.ts";
import { chooseStore } from "./choose-store.ts";

const tools = { clock, entropy, log: createLogger({ level: "silent", format: "json" }) };
const LOCAL = { BATCH_PROVIDER: "local" };

/** Modules of the vendor's client that this process has loaded. */
const loaded = () =>
  Object.keys(createRequire(import.meta.url).cache).filter((path) => path.includes("/@google-cloud/spanner"));

it("a worker on SQLite loads nothing of Spanner's client, and one on Spanner does", async () => {
  const sqlite = readWorkerSettings({ ...LOCAL, DB_PROVIDER: "sqlite" }, false);
  await chooseStore(sqlite, tools);
  expect(loaded()).toEqual([]);
  const names = { DB_PROJECT_ID: "p", DB_INSTANCE: "i", DB_DATABASE: "d" };
  await chooseStore(readWorkerSettings({ ...LOCAL, DB_PROVIDER: "spanner", ...names }, false), tools);
  expect(loaded()).not.toEqual([]);
});
