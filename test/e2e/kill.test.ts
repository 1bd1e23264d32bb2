import { afterEach, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { eventually, PATIENCE_MS } from "#test/support/node-process.ts";
import { type Backend, describeOnBackends } from "./backends.ts";
import { type Cluster, type JobJson, startCluster, TAKEOVER_MS } from "./cluster.ts";

/** Processes that die by real signals while jobs of many tenants are in flight. */
let cluster: Cluster;
afterEach(() => cluster.stop());

interface Load {
  readonly jobs: number;
  readonly tenants: number;
  readonly kills: number;
}

/** What each backend is put to. The emulator of Spanner runs one read-write transaction at a time, so it is asked for less. */
const LOADS: Readonly<Record<Backend["name"], Load>> = {
  "sqlite + local": { jobs: 300, tenants: 30, kills: 10 },
  "gcp + spanner": { jobs: 30, tenants: 10, kills: 3 },
};
const isTerminal = ({ status }: JobJson) => ["COMPLETED", "FAILED", "CANCELLED"].includes(status);

/** Whether a worker's terms up to this one still own active jobs. */
const hasJobs = (workerId: string, throughTerm: number) =>
  cluster.store.hasJobsOf({ workerId, afterTerm: 0, throughTerm });

async function statusesOf(tenant: string): Promise<string[]> {
  const { body } = await cluster.call<{ jobs?: JobJson[] }>("ListJobs", tenant, { page_size: 1000 });
  return (body.jobs ?? []).map(({ status }) => status);
}

async function termOf(workerId: string): Promise<number> {
  const row = (await cluster.store.readWorkers()).find((each) => each.workerId === workerId);
  return row?.term ?? 0;
}

interface Submitted {
  readonly tenant: string;
  readonly id: string;
  readonly fails: boolean;
}

/** Submits one job until it is answered, as a caller with an idempotency key does. */
async function submitUntilAnswered(index: number, tenant: string): Promise<Submitted> {
  const fails = index % 10 === 0;
  const script = `echo ran >> ${cluster.folder}/job-${index}; sleep ${1 + (index % 4)}; exit ${fails ? 3 : 0}`;
  const body = { image_uri: "app", entrypoint: "/bin/sh", commands: ["-c", script], wait_seconds: 2 };
  const answer = await eventually(
    () =>
      cluster.call<{ job_id: string }>("SubmitJob", tenant, body, {
        headers: { "idempotency-key": `key-${index}` },
      }),
    ({ status }) => status === 200,
  );
  return { tenant, id: answer.body.job_id, fails };
}

describeOnBackends((name, backend) => {
  const { jobs, tenants, kills } = LOADS[name];
  it(`${jobs} jobs of ${tenants} tenants, and a worker killed ${kills} times: none is lost, none runs twice`, async ({
    annotate,
  }) => {
    cluster = await startCluster({ backend: backend() });
    const takeovers: number[] = [];

    const submitted: Promise<Submitted>[] = [];
    const submitting = (async () => {
      for (let index = 0; index < jobs; index += 1) {
        submitted.push(submitUntilAnswered(index, `tenant-${index % tenants}`));
        await systemClock.sleep(60);
      }
    })();

    for (let kill = 0; kill < kills; kill += 1) {
      // A random moment: that is what is under test.
      await systemClock.sleep(Math.random() * 1_500);
      const name = cluster.workerNames[Math.floor(Math.random() * cluster.workerNames.length)] ?? "worker-1";
      const term = await termOf(name);
      cluster.worker(name).signal("SIGKILL");
      const killedMs = systemClock.monotonicMs();
      await cluster.worker(name).ended;
      if (kill % 2 === 0) await cluster.startWorker(name);
      await eventually(
        () => hasJobs(name, term),
        (has) => !has,
        TAKEOVER_MS,
      );
      takeovers.push(Math.round(systemClock.monotonicMs() - killedMs));
      if (kill % 2 === 1) await cluster.startWorker(name);
    }
    await submitting;
    for (const { tenant, id, fails } of await Promise.all(submitted)) {
      const job = await cluster.until(tenant, id, isTerminal);
      expect(job.status, JSON.stringify(job)).toBe(fails ? "FAILED" : "COMPLETED");
    }
    for (let index = 0; index < jobs; index += 1) {
      expect(await cluster.linesOf(`job-${index}`), `job ${index}`).toEqual(["ran"]);
    }
    const statuses = await Promise.all(
      Array.from({ length: tenants }, (_, tenant) => statusesOf(`tenant-${tenant}`)),
    );
    expect(statuses.flat().filter((status) => ["PENDING", "RUNNING"].includes(status))).toEqual([]);
    expect(statuses.flat()).toHaveLength(jobs);
    await annotate(`takeovers after a kill, ms (restarted, not, …): ${takeovers.join(" ")}`);
  });

  it("SIGTERM to a worker under load: no accepted call fails, its jobs are taken over without waiting for the TTL", async () => {
    // Longer than this test waits: nobody is taken for dead in it.
    const env = { WORKER_LEASE_TTL_SECONDS: String((10 * PATIENCE_MS) / 1000) };
    cluster = await startCluster({ backend: backend(), env });
    const running = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        cluster.submit(`tenant-${i}`, `echo ran >> ${cluster.folder}/term-${i}; sleep 4`),
      ),
    );
    const term = await termOf("worker-2");
    const load = (async () => {
      const answers = [];
      for (let i = 0; i < 60; i += 1) {
        answers.push(
          cluster.call<{ job_id: string }>("SubmitJob", `tenant-${i % 30}`, {
            image_uri: "a",
            entrypoint: "/bin/true",
          }),
        );
        await systemClock.sleep(20);
      }
      return Promise.all(answers);
    })();
    await systemClock.sleep(300);
    cluster.worker("worker-2").signal("SIGTERM");
    expect(await cluster.worker("worker-2").ended).toEqual({ code: 0, signal: null });
    await eventually(
      () => hasJobs("worker-2", term),
      (has) => !has,
    );
    for (const { status, body } of await load) expect(status, JSON.stringify(body)).toBe(200);
    for (const [i, id] of running.entries()) {
      expect((await cluster.until(`tenant-${i}`, id, isTerminal)).status).toBe("COMPLETED");
      expect(await cluster.linesOf(`term-${i}`)).toEqual(["ran"]);
    }
  });

  it("the gateway killed and restarted: what was answered ends right, and callers are served again", async () => {
    cluster = await startCluster({ backend: backend() });
    const before = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        cluster.submit(`tenant-${i}`, `echo ran >> ${cluster.folder}/gw-${i}; sleep 1`),
      ),
    );
    cluster.gateway.signal("SIGKILL");
    await cluster.gateway.ended;
    await expect(cluster.getJob("tenant-0", before[0] ?? "")).rejects.toThrow();
    await cluster.startGateway();
    for (const [i, id] of before.entries()) {
      expect((await cluster.until(`tenant-${i}`, id, isTerminal)).status).toBe("COMPLETED");
      expect(await cluster.linesOf(`gw-${i}`)).toEqual(["ran"]);
    }
  });
});
