import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { startGcpCloud } from "#test/clouds/gcp/server.ts";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";
import { answerOf, SERVICE, TENANT } from "./harness.ts";

/** A worker on GCP Batch that is told to leave while its cloud does not answer. */
const WORKER = fileURLToPath(new URL("../../cmd/worker/main.ts", import.meta.url));
const PLACE = { projectId: "test-project", region: "us-central1" };
const CUT_OFF = "stopped with work in flight";

let folder: string;
let path: string;
const toEnd: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-leaving-"));
  path = join(folder, "jennah.db");
});
afterEach(async () => {
  for (const end of toEnd.splice(0).reverse()) await end();
  await rm(folder, { recursive: true });
});

function startWorker(endpoint: string, drainSeconds: string): NodeProcess {
  const worker = startNode(
    WORKER,
    {
      BATCH_PROVIDER: "gcp",
      BATCH_PROJECT_ID: PLACE.projectId,
      BATCH_REGION: PLACE.region,
      BATCH_ENDPOINT: endpoint,
      DB_PROVIDER: "sqlite",
      DB_PATH: path,
      WORKER_HOST: "127.0.0.1",
      WORKER_PORT: "0",
      WORKER_ID: "worker-1",
      DRAIN_SECONDS: drainSeconds,
    },
    folder,
  );
  toEnd.push(() => worker.kill());
  return worker;
}

/** A worker with a job that runs, whose cloud has stopped answering the questions about it. */
async function startStuck(drainSeconds: string): Promise<NodeProcess> {
  const cloud = await startGcpCloud({ clock, ...PLACE });
  toEnd.push(() => cloud.stop());
  const worker = startWorker(cloud.endpoint, drainSeconds);
  const line = await worker.line((each) => each.includes("Worker listening on"));
  const url = `http://${/Worker listening on ([^"]+)/.exec(line)?.[1]}`;
  const headers = { "Content-Type": "application/json", ...TENANT };
  const body = JSON.stringify({ image_uri: "app", entrypoint: "/bin/sleep", commands: ["300"] });
  const answer = await answerOf(await fetch(`${url}${SERVICE}/SubmitJob`, { method: "POST", headers, body }));
  expect(answer.body).toMatchObject({ status: "RUNNING" });
  cloud.misbehave({ method: "ListJobs", stall: "drop", times: 1_000 });
  await eventually(
    () => cloud.stalled,
    (stalled) => stalled > 0,
  );
  return worker;
}

async function isTermOver(): Promise<boolean | undefined> {
  const log = createLogger({ level: "silent", format: "json" });
  const store = createSqliteStore({ path, clock, entropy, log });
  await store.start();
  const [row] = await store.readWorkers();
  await store.stop();
  return row?.over;
}

describe("a worker whose cloud does not answer", () => {
  it("leaves when DRAIN_SECONDS are over, says that work was in flight, and still ends its term", async () => {
    const worker = await startStuck("1");
    worker.signal("SIGTERM");
    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expect(worker.lines.filter((line) => line.includes(CUT_OFF))).toHaveLength(1);
    expect(await isTermOver()).toBe(true);
  });

  it("leaves on a second signal, says that work was in flight, and still ends its term", async () => {
    const worker = await startStuck("600");
    worker.signal("SIGTERM");
    await worker.line((line) => line.includes('"draining"'));
    worker.signal("SIGTERM");
    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expect(worker.lines.filter((line) => line.includes(CUT_OFF))).toHaveLength(1);
    expect(await isTermOver()).toBe(true);
  });

  it("leaves while it starts, without waiting for the answer", async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket.on("error", () => undefined).resume()));
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    toEnd.push(async () => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as { port: number };
    const worker = startWorker(`http://127.0.0.1:${port}`, "600");
    await once(silent, "connection");
    worker.signal("SIGTERM");
    expect(await worker.ended).toEqual({ code: 0, signal: null });
    expect(worker.lines.filter((line) => line.includes("no answer within"))).toEqual([]);
  });
});
