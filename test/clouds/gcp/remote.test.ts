import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { never, requestFor, trusted, eventually as untilPhase } from "#pkg/batch/conformance/harness.ts";
import { BatchPhase } from "#pkg/batch/index.ts";
import { providerAt } from "#test/batch/gcp/harness.ts";
import { eventually } from "#test/support/node-process.ts";
import { type RemoteCloud, startRemoteCloud } from "./remote.ts";

let folder: string;
let cloud: RemoteCloud;
let provider: ReturnType<typeof providerAt>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-cloud-"));
  cloud = await startRemoteCloud(folder);
  provider = providerAt(cloud.endpoint);
  await provider.start();
});
afterEach(async () => {
  await provider.stop();
  await cloud.stop();
  await rm(folder, { recursive: true });
});

const shell = (script: string) =>
  requestFor({ entrypoint: "/bin/sh", commands: ["-c", script] }, { env: { KEY: "value" } });
const read = (file: string) => readFile(join(folder, file), "utf8").catch(() => "");
const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0);
  } catch {
    // Nobody of that id is left.
    return false;
  }
};

it("the cloud as a process runs programs for real, with the job's environment and not its own", async () => {
  const request = shell("env > seen; exit 7");
  await provider.create(request, trusted());
  const end = await untilPhase(provider, request.batchJobId, ({ phase }) => phase === BatchPhase.Failed);
  expect(end.exitCode).toBe(7);
  expect(await read("seen")).toContain("KEY=value");
  expect(await read("seen")).not.toContain("GCP_SPAWN_IN");
  expect((await cloud.state()).made).toEqual({ [request.batchJobId]: 1 });
});

it("what it cancels is dead, children included", async () => {
  const request = shell("sleep 300 & echo $! > pid; wait");
  await provider.create(request, trusted());
  const pid = Number(
    await eventually(
      () => read("pid"),
      (text) => text !== "",
    ),
  );
  await provider.terminate(request.batchJobId, never());
  await untilPhase(provider, request.batchJobId, ({ phase }) => phase === BatchPhase.Cancelled);
  await eventually(
    () => isAlive(pid),
    (alive) => !alive,
  );
});

it("it does what it is told from outside", async () => {
  const request = shell("sleep 300");
  await cloud.act("misbehave", {
    method: "CreateJob",
    before: { status: "RESOURCE_EXHAUSTED", words: "quota" },
  });
  expect((await provider.create(request, trusted())).kind).toBe("refused");
  await expect(cloud.act("endWorld" as "letGo")).rejects.toThrow("the acts are");
});
