import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { toJson } from "@bufbuild/protobuf";
import { TimestampSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { needing } from "#test/support/commands.ts";
import { type Cluster, type JobJson, startCluster } from "./cluster.ts";

const run = promisify(execFile);

let cluster: Cluster;
beforeAll(async () => {
  // Nobody is taken for dead here: a takeover would be told among a job's events.
  cluster = await startCluster({ env: { WORKER_LEASE_TTL_SECONDS: "600" } });
});
afterAll(() => cluster.stop());

const isTerminal = ({ status }: JobJson) => ["COMPLETED", "FAILED", "CANCELLED"].includes(status);
const ended = (tenant: string, id: string) => cluster.until(tenant, id, isTerminal);
const typesOf = (job: JobJson) => (job.events ?? []).map((event) => event.type);

/** What the generated client and a caller in Node need besides the client. */
const NEEDED = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-node"];

/** The design's own example. */
const EXAMPLE =
  '{"image_uri":"gcr.io/p/app:latest","entrypoint":"/bin/sh","commands":["-c","echo hello"],"env_vars":{"KEY":"value"}}';

describe("the callers that people use", () => {
  const example = needing(
    "curl",
    "curl: the design's example answers with exactly that shape, and ends COMPLETED",
  );
  it.skipIf(example.isMissing)(example.title, async () => {
    const { stdout } = await run("curl", [
      "-sS",
      "-X",
      "POST",
      `${cluster.gatewayUrl}/jennah.v1.DeploymentService/SubmitJob`,
      ...["-H", "Content-Type: application/json", "-H", "X-Tenant-Id: test-tenant", "-d", EXAMPLE],
    ]);
    expect(stdout).toMatch(
      /^\{"job_id":"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}","status":"RUNNING","worker_assigned":"worker-[123]"\}$/,
    );
    const { job_id } = JSON.parse(stdout) as { job_id: string };
    const job = await ended("test-tenant", job_id);
    expect(job).toMatchObject({
      status: "COMPLETED",
      tenant_id: "test-tenant",
      attempt: 1,
      env_names: ["KEY"],
    });
    expect(typesOf(job)[0]).toBe("SUBMITTED");
    expect(typesOf(job).at(-1)).toBe("COMPLETED");
    // Each write raises the version, and an event carries the version that its write gave the row.
    expect(job.events?.at(-1)?.seq, "transactions of a job that goes well").toBeLessThanOrEqual(4);
    expect(JSON.stringify(job)).not.toContain("value");
    const attempt =
      (await readdir(join(cluster.folder, "local", "jobs"))).find((name) => name.includes(job_id)) ?? "";
    const files = await readdir(join(cluster.folder, "local", "jobs", attempt));
    const output = files.find((name) => name.startsWith("output")) ?? "";
    expect(await readFile(join(cluster.folder, "local", "jobs", attempt, output), "utf8")).toBe("hello\n");
  });

  const protocols = [
    ["connect", "HTTP/1.1", []],
    ["connect", "HTTP/2", ["--http2-prior-knowledge"]],
    ["grpc", "HTTP/2", ["--http2-prior-knowledge"]],
    ["grpcweb", "HTTP/1.1", []],
    ["grpcweb", "HTTP/2", ["--http2-prior-knowledge"]],
  ] as const;
  for (const [protocol, http, flags] of protocols) {
    it(`buf curl: the same job over ${protocol} and ${http}`, async () => {
      const { stdout } = await run("node_modules/.bin/buf", [
        "curl",
        ...["--schema", "proto", "--protocol", protocol, ...flags],
        ...["-H", "X-Tenant-Id: test-tenant", "-d", EXAMPLE],
        `${cluster.gatewayUrl}/jennah.v1.DeploymentService/SubmitJob`,
      ]);
      const answer = JSON.parse(stdout) as Record<string, string>;
      expect(answer.status).toBe("RUNNING");
      expect((await ended("test-tenant", answer.jobId ?? answer.job_id ?? "")).status).toBe("COMPLETED");
    });
  }

  it("the generated client, from a separate folder that only installs the packed package", async () => {
    const folder = await mkdtemp(join(tmpdir(), "jennah-client-"));
    try {
      // Its dependencies are packed from where this repository has them, so that no registry is needed.
      const packages = ["./gen", ...NEEDED.map((name) => `./node_modules/${name}`)];
      const pack = ["pack", "--ignore-scripts", "--silent", "--pack-destination", folder];
      const { stdout: packed } = await run("npm", [...pack, ...packages]);
      const archives = packed.trim().split("\n");
      expect(archives).toHaveLength(packages.length);
      await writeFile(join(folder, "package.json"), '{"name":"caller","private":true,"type":"module"}');
      const install = ["install", "--offline", "--no-audit", "--no-fund", "--silent"];
      await run("npm", [...install, ...archives.map((name) => `./${name}`)], { cwd: folder });
      await writeFile(
        join(folder, "main.js"),
        `import { createClient } from "@connectrpc/connect";
         import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
         import { DeploymentService, JobStatus } from "jennah";
         const headers = { "x-tenant-id": "client" };
         for (const transport of [
           createConnectTransport({ baseUrl: process.argv[2], httpVersion: "1.1" }),
           createGrpcTransport({ baseUrl: process.argv[2] }),
         ]) {
           const client = createClient(DeploymentService, transport);
           const { jobId } = await client.submitJob({ imageUri: "app", entrypoint: "/bin/true" }, { headers });
           const { job } = await client.getJob({ jobId }, { headers });
           console.log(job.tenantId, job.imageUri, JobStatus[job.status].length > 0);
         }
         process.exit(0);`,
      );
      const { stdout } = await run(process.execPath, ["main.js", cluster.gatewayUrl], { cwd: folder });
      expect(stdout).toBe("client app true\nclient app true\n");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("what becomes of a job", () => {
  it("a failing one is tried again with a backoff until max_retries are used, and its history tells every step", async () => {
    const id = await cluster.submit("retry", `echo run >> ${cluster.folder}/retry; exit 3`, {
      max_retries: 1,
    });
    const job = await cluster.until("retry", id, isTerminal);
    expect(job).toMatchObject({ status: "FAILED", attempt: 2, error: { exit_code: 3 } });
    expect(await cluster.linesOf("retry")).toHaveLength(2);
    const types = typesOf(job);
    expect(types.filter((type) => type === "RETRYING")).toHaveLength(1);
    expect(types.filter((type) => type === "ACCEPTED")).toHaveLength(2);
    expect(types.at(-1)).toBe("FAILED");
  });

  it("a cancel of one that waits ends it before it starts", async () => {
    const later = toJson(TimestampSchema, timestampFromMs(systemClock.nowMs() + 3_600_000));
    const id = await cluster.submit("cancel", `echo run >> ${cluster.folder}/never`, { not_before: later });
    expect((await cluster.getJob("cancel", id)).status).toBe("PENDING");
    expect((await cluster.call("CancelJob", "cancel", { job_id: id })).status).toBe(200);
    expect((await ended("cancel", id)).status).toBe("CANCELLED");
    expect(await cluster.linesOf("never")).toEqual([]);
  });

  it("a cancel of a running one ends its process, and is idempotent", async () => {
    const id = await cluster.submit(
      "cancel",
      `echo start >> ${cluster.folder}/cancel; sleep 60; echo end >> ${cluster.folder}/cancel`,
    );
    await cluster.until("cancel", id, (job) => job.status === "RUNNING");
    for (let i = 0; i < 2; i += 1)
      expect((await cluster.call("CancelJob", "cancel", { job_id: id })).status).toBe(200);
    expect((await ended("cancel", id)).status).toBe("CANCELLED");
    expect((await cluster.call("CancelJob", "cancel", { job_id: id })).status).toBe(200);
    expect((await cluster.linesOf("cancel")).filter((line) => line === "end")).toEqual([]);
  });

  it("a cancel of a finished one is failed_precondition", async () => {
    const id = await cluster.submit("cancel", "true");
    expect((await ended("cancel", id)).status).toBe("COMPLETED");
    const { status, body } = await cluster.call("CancelJob", "cancel", { job_id: id });
    expect([status, body.code]).toEqual([400, "failed_precondition"]);
  });

  it("a delete hides a finished job at once, is repeatable, and is refused for a running one", async () => {
    const running = await cluster.submit("delete", "sleep 60");
    expect((await cluster.call("DeleteJob", "delete", { job_id: running })).body.code).toBe(
      "failed_precondition",
    );
    await cluster.call("CancelJob", "delete", { job_id: running });
    await ended("delete", running);
    for (let i = 0; i < 2; i += 1) {
      expect((await cluster.call("DeleteJob", "delete", { job_id: running })).status).toBe(200);
    }
    expect((await cluster.call("GetJob", "delete", { job_id: running })).body.code).toBe("not_found");
    expect((await cluster.call("ListJobs", "delete", {})).body).toEqual({});
  });

  it("RetryJob submits a failed job's spec again as a new job", async () => {
    const id = await cluster.submit(
      "again",
      `[ "$WORD" = secret ] && echo "$WORD" >> ${cluster.folder}/again; exit 1`,
      {
        env_vars: { WORD: "secret" },
      },
    );
    await ended("again", id);
    const { body } = await cluster.call<{ job_id: string }>("RetryJob", "again", { job_id: id });
    expect(await ended("again", body.job_id)).toMatchObject({ status: "FAILED", retry_of: id });
    expect(await cluster.linesOf("again")).toEqual(["secret", "secret"]);
  });

  it("the same Idempotency-Key a hundred times at once makes one job", async () => {
    const body = {
      image_uri: "app",
      entrypoint: "/bin/sh",
      commands: ["-c", `echo run >> ${cluster.folder}/once`],
    };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        cluster.call<{ job_id: string }>("SubmitJob", "once", body, {
          headers: { "idempotency-key": "the-key" },
        }),
      ),
    );
    expect(new Set(answers.map((answer) => answer.status))).toEqual(new Set([200]));
    const ids = new Set(answers.map((answer) => answer.body.job_id));
    expect(ids.size).toBe(1);
    await ended("once", [...ids][0] ?? "");
    expect(await cluster.linesOf("once")).toEqual(["run"]);
    const different = await cluster.call(
      "SubmitJob",
      "once",
      { ...body, name: "other" },
      { headers: { "idempotency-key": "the-key" } },
    );
    expect(different.body.code).toBe("already_exists");
  });

  it("one of a target that no worker serves waits with NO_WORKER, and can be cancelled and deleted", async () => {
    const id = await cluster.submit("nowhere", "true", { target: "gcp/some-project/some-region" });
    expect(await cluster.getJob("nowhere", id)).toMatchObject({
      status: "PENDING",
      wait_reason: "NO_WORKER",
    });
    await cluster.call("CancelJob", "nowhere", { job_id: id });
    expect((await ended("nowhere", id)).status).toBe("CANCELLED");
    expect((await cluster.call("DeleteJob", "nowhere", { job_id: id })).status).toBe(200);
    expect((await cluster.call("GetJob", "nowhere", { job_id: id })).body.code).toBe("not_found");
  });
});
