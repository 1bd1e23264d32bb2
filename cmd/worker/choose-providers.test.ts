import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import { readWorkerSettings } from "#pkg/worker/index.ts";
import { chooseProviders, PROVIDERS } from "./choose-providers.ts";

const tools = { clock, entropy, log: createLogger({ level: "silent", format: "json" }) };
const TTL_SECONDS = 30;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-providers-"));
});
afterEach(() => rm(folder, { recursive: true }));

it.each(PROVIDERS)("the settings know for how long a request to %s outlives its caller", async (name) => {
  const env = {
    BATCH_PROVIDER: name,
    BATCH_PROJECT_ID: "p",
    BATCH_REGION: "r",
    DB_PROVIDER: "sqlite",
    LOCAL_WORKDIR: folder,
    WORKER_LEASE_TTL_SECONDS: String(TTL_SECONDS),
  };
  const [provider] = await chooseProviders(readWorkerSettings(env, false), tools);
  const least = TTL_SECONDS + Number(provider?.capabilities.requestOutlivesMs) / 1000;
  readWorkerSettings({ ...env, SETTLE_SECONDS: String(least) }, false);
  expect(() => readWorkerSettings({ ...env, SETTLE_SECONDS: String(least - 0.1) }, false)).toThrow(
    `SETTLE_SECONDS: must be at least ${least} `,
  );
});
