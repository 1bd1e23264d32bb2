import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startRemoteCloud } from "#test/clouds/gcp/remote.ts";
import { startNode } from "#test/support/node-process.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-graph-"));
});
afterAll(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));

/** What of the clouds' clients a worker loads from its start to its end. */
async function loadedBy(env: Readonly<Record<string, string>>): Promise<string> {
  const worker = startNode("cmd/worker/main.ts", {
    NODE_OPTIONS: `--import=${pathToFileURL(join(import.meta.dirname, "loaded-modules.ts"))}`,
    DB_PROVIDER: "sqlite",
    DB_PATH: join(folder, `${env.BATCH_PROVIDER}.db`),
    LOCAL_WORKDIR: join(folder, "local"),
    WORKER_PORT: "0",
    WORKER_HOST: "127.0.0.1",
    LOG_FORMAT: "json",
    ...env,
  });
  await worker.line((line) => line.includes("Worker listening"));
  worker.signal("SIGTERM");
  await worker.ended;
  const lines = worker.lines.filter((line) => line.startsWith("loaded by "));
  // The main thread tells last; the store's writer is another.
  expect(lines.at(-1)).toContain("loaded by 0: ");
  return lines.map((line) => line.replace(/^loaded by \d+: /, "")).join("");
}

describe("the module graph", () => {
  it("of a worker with the local provider holds no cloud's client", async () => {
    expect(await loadedBy({ BATCH_PROVIDER: "local" })).toBe("");
  });

  it("of a worker with gcp holds that of Batch, and not that of Spanner", async () => {
    const cloud = await startRemoteCloud();
    const loaded = await loadedBy({
      BATCH_PROVIDER: "gcp",
      BATCH_PROJECT_ID: "test-project",
      BATCH_REGION: "us-central1",
      BATCH_ENDPOINT: cloud.endpoint,
    });
    expect(loaded).toContain("@google-cloud/batch");
    expect(loaded).not.toContain("@google-cloud/spanner");
    await cloud.stop();
  });
});
