import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type FaultProxy, startFaultProxy } from "#test/support/fault-proxy.ts";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";
import { describeOnSpanner, storeOptions } from "#test/support/spanner-emulator.ts";

const JOBS = 5;
const MOST_TRANSACTIONS = 4;

describeOnSpanner("a worker with its jobs in Spanner", (emulator) => {
  let proxy: FaultProxy;
  let worker: NodeProcess;
  let folder: string;
  let database: string;
  let url: string;

  beforeAll(async () => {
    database = await emulator().createDatabase("migrated");
    proxy = await startFaultProxy(emulator().host);
    folder = await mkdtemp(join(tmpdir(), "jennah-spanner-"));
    const { project, instance } = storeOptions(database);
    worker = startNode("cmd/worker/main.ts", {
      SPANNER_EMULATOR_HOST: proxy.host,
      DB_PROVIDER: "spanner",
      DB_PROJECT_ID: project,
      DB_INSTANCE: instance,
      DB_DATABASE: database,
      BATCH_PROVIDER: "local",
      LOCAL_WORKDIR: join(folder, "local"),
      WORKER_ID: "worker-1",
      WORKER_PORT: "0",
      // No renewal comes between the transactions that are counted.
      WORKER_LEASE_TTL_SECONDS: "600",
      LOG_FORMAT: "json",
    });
    const line = await worker.line((each) => each.includes("Worker listening on"));
    url = `http://${/127\.0\.0\.1:\d+/.exec(line)?.[0]}`;
    await eventually(
      async () => (await fetch(`${url}/ready`)).status,
      (status) => status === 200,
    );
  });
  afterAll(async () => {
    // The first of these that is not there failed to start, and says why itself.
    await worker?.kill();
    await proxy?.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  async function call(method: string, body: object) {
    const response = await fetch(`${url}/jennah.v1.DeploymentService/${method}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Tenant-Id": "test-tenant" },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, string> };
  }

  const submit = () =>
    call("SubmitJob", { image_uri: "image", entrypoint: "/bin/true", env_vars: { SECRET: "hunter2" } });

  async function statusOf(jobId: string): Promise<string | undefined> {
    const { body } = await call("GetJob", { job_id: jobId });
    return (body.job as unknown as Record<string, string> | undefined)?.status;
  }

  it("says at its start where they are", () => {
    const words = `Connected to Spanner: test-project/test-instance/${database}`;
    expect(worker.lines.some((line) => line.includes(words))).toBe(true);
  });

  it(`a job that goes well costs at most ${MOST_TRANSACTIONS} transactions`, async () => {
    const before = proxy.count("Commit");
    for (let job = 0; job < JOBS; job++) {
      const { body } = await submit();
      await eventually(
        () => statusOf(body.job_id ?? ""),
        (status) => status === "COMPLETED",
      );
    }
    const transactions = proxy.count("Commit") - before;
    process.stdout.write(`transactions of ${JOBS} jobs that went well, over Spanner: ${transactions}\n`);
    expect(transactions).toBeGreaterThan(0);
    expect(transactions / JOBS).toBeLessThanOrEqual(MOST_TRANSACTIONS);
  });

  it("answers unavailable while Spanner is away, and serves again after it", async () => {
    await proxy.cut();
    expect(await submit()).toMatchObject({ status: 503, body: { code: "unavailable" } });
    await proxy.mend();
    await eventually(submit, ({ status }) => status === 200);
  });

  it("no value of a job's environment is in a line that it logged", () => {
    expect(worker.lines.join("\n")).not.toContain("hunter2");
  });
});
