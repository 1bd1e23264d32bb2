import { afterEach, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { eventually, PATIENCE_MS } from "#test/support/node-process.ts";
import { type Backend, describeOnBackends } from "./backends.ts";
import { type Cluster, type JobJson, startCluster, TAKEOVER_MS } from "./cluster.ts";

/** Processes that die by real signals while jobs of many tenants are in flight. */
let cluster: Cluster;
afterEach(() => cluster.stop());

interface Load {
  readonly tenants: number;
  /** In flight from before the first kill to after the last, if the machine is no slower than most. */
  readonly resident: number;
  readonly residentSeconds: number;
  readonly kills: number;
  /** Submitted around each kill, so that calls are in flight too. */
  readonly perKill: number;
}

/** What each backend is put to. The emulator of Spanner runs one read-write transaction at a time, so it is asked for less. */
const LOADS: Readonly<Record<Backend["name"], Load>> = {
  "sqlite + local": { tenants: 30, resident: 200, residentSeconds: 35, kills: 10, perKill: 10 },
  "gcp + spanner": { tenants: 10, resident: 21, residentSeconds: 15, kills: 3, perKill: 3 },
};
/** Submits on their way at once. */
const CALLERS = 16;
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
async function submitUntilAnswered(index: number, tenant: string, seconds: number): Promise<Submitted> {
  const fails = index % 10 === 0;
  const script = `echo ran >> ${cluster.folder}/job-${index}; sleep ${seconds}; exit ${fails ? 3 : 0}`;
  const body = { image_uri: "app", entrypoint: "/bin/sh", commands: ["-c", script], wait_seconds: 2 };
  const headers = { "idempotency-key": `key-${index}` };
  const answer = await eventually(
    () =>
      cluster
        .call<{ job_id: string }>("SubmitJob", tenant, body, { headers })
        // The gateway itself may be the one that is dead.
        .catch(() => undefined),
    (told) => told?.status === 200,
  );
  return { tenant, id: answer?.body.job_id ?? "", fails };
}

/** One of the workers that own jobs just now, by chance. */
async function someOwner(): Promise<string> {
  const owners = await eventually(
    async () => {
      const rows = await cluster.store.readWorkers();
      const theirs = await Promise.all(rows.map(({ workerId, term }) => hasJobs(workerId, term)));
      return rows.filter((_, index) => theirs[index]).map(({ workerId }) => workerId);
    },
    (found) => found.length > 0,
  );
  return owners[Math.floor(Math.random() * owners.length)] ?? "";
}

/** Jobs in flight, and calls too, while `strike` comes again and again; then what became of each job. */
async function underLoad(load: Load, strike: (kill: number) => Promise<void>): Promise<void> {
  const { tenants, resident, residentSeconds, kills, perKill } = load;
  const submitted: Promise<Submitted>[] = [];
  const submit = (seconds: number) => {
    const index = submitted.length;
    submitted.push(submitUntilAnswered(index, `tenant-${index % tenants}`, seconds));
    return submitted[index];
  };
  while (submitted.length < resident) {
    await Promise.all(
      Array.from({ length: Math.min(CALLERS, resident - submitted.length) }, () => submit(residentSeconds)),
    );
  }
  for (let kill = 0; kill < kills; kill += 1) {
    const calls = (async () => {
      for (let call = 0; call < perKill; call += 1) {
        submit(1 + (call % 4));
        await systemClock.sleep(60);
      }
    })();
    // A random moment: that is what is under test.
    await systemClock.sleep(Math.random() * 60 * perKill);
    await strike(kill);
    await calls;
  }
  for (const { tenant, id, fails } of await Promise.all(submitted)) {
    const job = await cluster.until(tenant, id, isTerminal);
    expect(job.status, JSON.stringify(job)).toBe(fails ? "FAILED" : "COMPLETED");
  }
  for (let index = 0; index < submitted.length; index += 1) {
    expect(await cluster.linesOf(`job-${index}`), `job ${index}`).toEqual(["ran"]);
  }
  const statuses = await Promise.all(
    Array.from({ length: tenants }, (_, tenant) => statusesOf(`tenant-${tenant}`)),
  );
  expect(statuses.flat().filter((status) => ["PENDING", "RUNNING"].includes(status))).toEqual([]);
  expect(statuses.flat()).toHaveLength(resident + kills * perKill);
}

describeOnBackends((name, backend) => {
  const load = LOADS[name];
  const jobs = load.resident + load.kills * load.perKill;
  it(`${jobs} jobs of ${load.tenants} tenants, and a worker killed ${load.kills} times: none is lost, none runs twice`, async ({
    annotate,
  }) => {
    cluster = await startCluster({ backend: backend() });
    const takeovers: number[] = [];
    await underLoad(load, async (kill) => {
      const victim = await someOwner();
      const term = await termOf(victim);
      cluster.worker(victim).signal("SIGKILL");
      const killedMs = systemClock.monotonicMs();
      await cluster.worker(victim).ended;
      if (kill % 2 === 0) await cluster.startWorker(victim);
      await eventually(
        () => hasJobs(victim, term),
        (has) => !has,
        TAKEOVER_MS,
      );
      takeovers.push(Math.round(systemClock.monotonicMs() - killedMs));
      if (kill % 2 === 1) await cluster.startWorker(victim);
    });
    await annotate(`takeovers after a kill, ms (restarted, not, …): ${takeovers.join(" ")}`);
  });

  it(`${jobs} jobs, and the gateway killed ${load.kills} times: none is lost, none runs twice, callers are served again`, async () => {
    cluster = await startCluster({ backend: backend() });
    await underLoad({ ...load, residentSeconds: 5 }, async () => {
      cluster.gateway.signal("SIGKILL");
      await cluster.gateway.ended;
      await expect(cluster.getJob("tenant-0", "any")).rejects.toThrow();
      await cluster.startGateway();
    });
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
});
