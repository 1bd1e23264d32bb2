import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { ExitCode } from "#pkg/errors/index.ts";
import { type RemoteCloud, startRemoteCloud } from "#test/clouds/gcp/remote.ts";
import { type FaultProxy, startFaultProxy } from "#test/support/fault-proxy.ts";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";
import { freePorts } from "#test/support/ports.ts";
import { describeOnSpanner, storeOptions } from "#test/support/spanner-emulator.ts";
import { gcpEnv } from "./backends.ts";
import type { JobJson } from "./cluster.ts";

const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;
/** Refusals that are over after some seconds of the worker's own questions and the probes'. */
const A_FEW = 30;
/** Nothing listens on the first port. */
const NOBODY = "127.0.0.1:1";

/** What `/ready` and the start of a worker say when its database or its cloud is missing. */
describeOnSpanner("a worker on gcp + spanner", (emulator) => {
  let cloud: RemoteCloud;
  let proxy: FaultProxy;
  let database: string;
  let folder: string;
  const started: NodeProcess[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "jennah-ready-"));
    [cloud, database] = await Promise.all([startRemoteCloud(), emulator().createDatabase("migrated")]);
  });
  beforeEach(async () => {
    proxy = await startFaultProxy(emulator().host);
  });
  afterEach(async () => {
    await Promise.all(started.splice(0).map((each) => each.kill()));
    await proxy.stop();
  });
  afterAll(async () => {
    await cloud?.stop();
    await rm(folder, { recursive: true });
  });

  function launch(env: Readonly<Record<string, string>> = {}): NodeProcess {
    const { project, instance } = storeOptions(database);
    const worker = startNode(
      new URL("../../cmd/worker/main.ts", import.meta.url).pathname,
      {
        ...gcpEnv(cloud.endpoint),
        SPANNER_EMULATOR_HOST: proxy.host,
        DB_PROVIDER: "spanner",
        DB_PROJECT_ID: project,
        DB_INSTANCE: instance,
        DB_DATABASE: database,
        WORKER_ID: "worker-1",
        WORKER_PORT: "0",
        WORKER_HOST: "127.0.0.1",
        WORKER_LEASE_TTL_SECONDS: "3",
        WORKER_CLAIM_INTERVAL_SECONDS: "1",
        LOG_FORMAT: "json",
        ...env,
      },
      folder,
    );
    started.push(worker);
    return worker;
  }
  /** Ends by itself, and says how. */
  async function refusalOf(env: Readonly<Record<string, string>>) {
    const worker = launch(env);
    const { code } = await worker.ended;
    return { code, said: worker.lines.join("\n") };
  }

  async function serve(): Promise<string> {
    const line = await launch().line((each) => each.includes("Worker listening on"));
    const url = `http://${/127\.0\.0\.1:\d+/.exec(line)?.[0]}`;
    await untilReady(url, { ready: true });
    return url;
  }

  /** Also of a worker that does not listen yet. */
  async function untilReady(url: string, answer: object): Promise<void> {
    const [expected, status] = [JSON.stringify(answer), "reason" in answer ? 503 : 200];
    await eventually(
      async () => {
        const response = await fetch(`${url}/ready`).catch(() => undefined);
        return `${response?.status} ${(await response?.text())?.trim()}`;
      },
      (told) => told === `${status} ${expected}`,
    );
  }

  it.each<[string, () => Promise<Readonly<Record<string, string>>>, RegExp, ExitCode]>([
    [
      "no database",
      async () => ({ DB_DATABASE: "none" }),
      /no such database \(DB_DATABASE\): create it with `gcloud spanner databases create none/,
      ExitCode.Config,
    ],
    [
      "no schema",
      async () => ({ DB_DATABASE: await emulator().createDatabase([]) }),
      /no schema yet: run `npm run migrate`/,
      ExitCode.Config,
    ],
    [
      "no permission",
      async () => {
        const message = "Caller is missing IAM permission spanner.sessions.create on resource it.";
        proxy.befall("CreateSession", { kind: "refuse", code: PERMISSION_DENIED, message });
        return {};
      },
      /lack the permission spanner.sessions.create: roles\/spanner.databaseUser/,
      ExitCode.Config,
    ],
    [
      "nobody where the database is to be",
      async () => ({ SPANNER_EMULATOR_HOST: NOBODY }),
      /Spanner cannot be reached/,
      ExitCode.Failed,
    ],
    [
      "nobody where the cloud is to be",
      async () => ({ BATCH_ENDPOINT: `http://${NOBODY}` }),
      /the Batch API does not answer \(UNAVAILABLE\)/,
      ExitCode.Failed,
    ],
  ])("that finds %s does not start, and says what is missing", async (_, env, words, exitCode) => {
    const { code, said } = await refusalOf(await env());
    expect(said).toMatch(words);
    expect(code).toBe(exitCode);
  });

  it("that waits for one of them at the start is not ready, and says for which", async () => {
    const [port = 0] = await freePorts(1);
    const url = `http://127.0.0.1:${port}`;
    // A wait that is asked for ends by itself, however slow the machine; one for an answer would end the worker.
    proxy.befall("CreateSession", { kind: "refuse", code: UNAVAILABLE, retryDelayMs: 6_000 });
    await cloud.act("misbehave", { method: "ListJobs", stall: "do" });
    launch({ WORKER_PORT: String(port) });
    await untilReady(url, { ready: false, reason: "OPENING_STORE" });
    await untilReady(url, { ready: false, reason: "CHECKING_PROVIDER" });
    await eventually(
      () => cloud.state(),
      ({ stalled }) => stalled === 1,
    );
    await cloud.act("letGo");
    await untilReady(url, { ready: true });
  });

  it("whose database goes away is not ready, and serves again when it is back, without a restart", async () => {
    const url = await serve();
    const unreachable = { ready: false, reason: "STORE_UNREACHABLE" };
    emulator().signal("SIGSTOP");
    try {
      await untilReady(url, unreachable);
    } finally {
      emulator().signal("SIGCONT");
    }
    await untilReady(url, { ready: true });
    await proxy.cut();
    await untilReady(url, unreachable);
    await proxy.mend();
    await untilReady(url, { ready: true });
  });

  it("that may no longer use its database is not ready, and says that it was turned away", async () => {
    const url = await serve();
    const message = "Caller is missing IAM permission spanner.databases.select on resource it.";
    proxy.befall("StreamingRead", { kind: "refuse", code: PERMISSION_DENIED, message }, A_FEW);
    proxy.befall("ExecuteStreamingSql", { kind: "refuse", code: PERMISSION_DENIED, message }, A_FEW);
    await untilReady(url, { ready: false, reason: "STORE_REFUSES" });
    await untilReady(url, { ready: true });
  });

  it("whose cloud goes away stays ready: jobs are taken on, and say what they wait for", async () => {
    const url = await serve();
    await cloud.act("refuseAll", { status: "UNAVAILABLE", words: "away" });
    const call = async (method: string, body: object) => {
      const response = await fetch(`${url}/jennah.v1.DeploymentService/${method}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-Tenant-Id": "tenant" },
        body: JSON.stringify(body),
      });
      return (await response.json()) as { readonly job_id?: string; readonly job?: JobJson };
    };
    const { job_id } = await call("SubmitJob", { image_uri: "i", entrypoint: "/bin/true", wait_seconds: 0 });
    const jobWhen = (holds: (job: JobJson | undefined) => boolean) =>
      eventually(async () => (await call("GetJob", { job_id })).job, holds);
    await jobWhen((job) => job?.status === "PENDING" && job.wait_reason === "UNCONFIRMED");
    await untilReady(url, { ready: true });
    await cloud.act("refuseAll", null);
    await jobWhen((job) => job?.status === "COMPLETED");
  });
});
