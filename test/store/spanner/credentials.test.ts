import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { startNode } from "#test/support/node-process.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-credentials-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

it.each(["worker", "migrate"])(
  "%s without credentials says how to get them, once, and exits 78",
  async (name) => {
    const child = startNode(
      join(process.cwd(), "cmd", name, "main.ts"),
      {
        // No file of the user's, and no machine of Google's.
        HOME: folder,
        GCE_METADATA_HOST: "127.0.0.1:9",
        METADATA_SERVER_DETECTION: "none",
        DB_PROVIDER: "spanner",
        DB_PROJECT_ID: "project-1",
        DB_INSTANCE: "instance",
        DB_DATABASE: "main",
        BATCH_PROVIDER: "local",
        WORKER_ID: "worker-1",
        WORKER_PORT: "0",
        LOG_FORMAT: "json",
      },
      folder,
    );
    expect((await child.ended).code).toBe(78);
    expect(child.lines.join("\n")).toContain("gcloud auth application-default login");
    expect(child.lines.filter((line) => line.includes('"stack"')).length).toBeLessThanOrEqual(1);
  },
);
