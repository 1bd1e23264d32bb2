import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";
import { describeOnSpanner, storeOptions } from "#test/support/spanner-emulator.ts";

interface JobView {
  readonly status: string;
  readonly owner: string;
  readonly attempt: number;
}

/** Two workers that share a store and a machine. The emulator runs one transaction at a time, so the term is not the shortest. */
describeOnSpanner("workers that share Spanner", (emulator) => {
  const started: NodeProcess[] = [];
  const urls = new Map<NodeProcess, string>();
  let folder: string;
  let first: NodeProcess;
  let second: NodeProcess;

  beforeAll(async () => {
    const database = await emulator().createDatabase("migrated");
    folder = await mkdtemp(join(tmpdir(), "jennah-spanner-"));
    [first, second] = await Promise.all([
      startWorker("worker-1", database),
      startWorker("worker-2", database),
    ]);
  });
  afterAll(async () => {
    await Promise.all(started.map((worker) => worker.kill()));
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  async function startWorker(workerId: string, database: string): Promise<NodeProcess> {
    const { project, instance } = storeOptions(database);
    const worker = startNode("cmd/worker/main.ts", {
      SPANNER_EMULATOR_HOST: emulator().host,
      DB_PROVIDER: "spanner",
      DB_PROJECT_ID: project,
      DB_INSTANCE: instance,
      DB_DATABASE: database,
      BATCH_PROVIDER: "local",
      LOCAL_WORKDIR: join(folder, "local"),
      WORKER_ID: workerId,
      WORKER_PORT: "0",
      WORKER_LEASE_TTL_SECONDS: "6",
      WORKER_CLAIM_INTERVAL_SECONDS: "0.5",
      LOG_FORMAT: "json",
    });
    started.push(worker);
    const line = await worker.line((each) => each.includes("Worker listening on"));
    const url = `http://${/127\.0\.0\.1:\d+/.exec(line)?.[0]}`;
    urls.set(worker, url);
    await eventually(
      async () => (await fetch(`${url}/ready`)).status,
      (status) => status === 200,
    );
    return worker;
  }

  async function call(worker: NodeProcess, method: string, body: object): Promise<Record<string, unknown>> {
    const response = await fetch(`${urls.get(worker)}/jennah.v1.DeploymentService/${method}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Tenant-Id": "test-tenant" },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Record<string, unknown>;
  }

  async function jobAt(worker: NodeProcess, jobId: string): Promise<JobView | undefined> {
    return (await call(worker, "GetJob", { job_id: jobId })).job as JobView | undefined;
  }

  it("one that is killed loses its jobs to the other, which sees the same attempt to its end", async () => {
    const commands = ["-c", `for i in $(seq 900); do [ -e ${folder}/go ] && exit 0; sleep 0.2; done; exit 1`];
    const { job_id } = await call(first, "SubmitJob", {
      image_uri: "image",
      entrypoint: "/bin/sh",
      commands,
    });
    const jobId = String(job_id);
    expect((await jobAt(second, jobId))?.owner).toBe("worker-1");
    await first.kill();
    await eventually(
      () => jobAt(second, jobId),
      (job) => job?.owner === "worker-2",
    );
    await call(second, "SubmitJob", {
      image_uri: "i",
      entrypoint: "/bin/sh",
      commands: ["-c", `> ${folder}/go`],
    });
    const ended = await eventually(
      () => jobAt(second, jobId),
      (job) => job?.status === "COMPLETED",
    );
    expect(ended).toMatchObject({ owner: "worker-2", attempt: 1 });
  });
});
