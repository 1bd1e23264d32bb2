import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startNode } from "#test/support/node-process.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-credentials-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const COMMANDS = ["worker", "migrate"] as const;

/** Ends by itself, since it comes no further than to its credentials. */
function start(command: (typeof COMMANDS)[number], env: Readonly<Record<string, string>> = {}) {
  return startNode(
    join(process.cwd(), "cmd", command, "main.ts"),
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
      ...env,
    },
    folder,
  );
}

it.each(COMMANDS)("%s without credentials says how to get them, once, and exits 78", async (command) => {
  const child = start(command);
  expect((await child.ended).code).toBe(78);
  expect(child.lines.join("\n")).toContain("gcloud auth application-default login");
  expect(child.lines.filter((line) => line.includes('"stack"')).length).toBeLessThanOrEqual(1);
});

/** What is wrong with a file, how it comes to be so, and how that is told. */
const FILES: readonly (readonly [state: string, make: (path: string) => Promise<unknown>, words: string])[] =
  [
    ["is not there", () => Promise.resolve(), "does not exist, or it is not a file"],
    // What Docker makes of a mount whose source is not there.
    ["is a folder", (path) => mkdir(path), "does not exist, or it is not a file"],
    ["is no JSON", (path) => writeFile(path, "{"), "in JSON at position 1"],
    [
      "lacks a field",
      (path) => writeFile(path, '{"type":"service_account"}'),
      "does not contain a client_email field",
    ],
  ];

describe.each(FILES)("a file of credentials that %s", (_, make, words) => {
  it.each(COMMANDS)("has %s say what is wrong with it, once, and exit 78", async (command) => {
    const path = join(folder, "key.json");
    await make(path);
    const child = start(command, { GOOGLE_APPLICATION_CREDENTIALS: path });
    expect((await child.ended).code).toBe(78);
    const output = child.lines.join("\n");
    expect(output).toContain("no credentials that Google accepts were found");
    expect(output).toContain(words);
    expect(child.lines.filter((line) => line.includes('"stack"')).length).toBeLessThanOrEqual(1);
  });
});
