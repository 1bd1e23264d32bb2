import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { eventually } from "#test/support/node-process.ts";
import { type Cluster, type JobJson, startCluster, TAKEOVER_MS } from "./cluster.ts";

/** Processes that die by real signals while jobs of many tenants are in flight. */
let cluster: Cluster;
afterEach(() => cluster.stop());

const JOBS = 300;
const TENANTS = 30;
const KILLS = 10;
const isTerminal = ({ status }: JobJson) => ["COMPLETED", "FAILED", "CANCELLED"].includes(status);

/** Jobs that a worker's terms up to this one still own. */
function ownedByDead(db: DatabaseSync, workerId: string, term: number): number {
  const row = db
    .prepare(
      "SELECT count(*) AS n FROM jobs WHERE owner_id = ? AND owner_term <= ? AND status IN ('PENDING', 'RUNNING')",
    )
    .get(workerId, term);
  return Number(row?.n);
}

function termOf(db: DatabaseSync, workerId: string): number {
  return Number(db.prepare("SELECT term FROM workers WHERE worker_id = ?").get(workerId)?.term);
}

/** Submits one job until it is answered, as a caller with an idempotency key does. */
async function submitUntilAnswered(index: number): Promise<{ tenant: string; id: string; fails: boolean }> {
  const tenant = `tenant-${index % TENANTS}`;
  const fails = index % 10 === 0;
  const script = `echo ran >> ${cluster.folder}/job-${index}; sleep ${1 + (index % 4)}; exit ${fails ? 3 : 0}`;
  const body = { image_uri: "app", entrypoint: "/bin/sh", commands: ["-c", script], wait_seconds: 2 };
  const answer = await eventually(
    () =>
      cluster.call<{ job_id: string }>("SubmitJob", tenant, body, {
        headers: { "idempotency-key": `key-${index}` },
      }),
    ({ status }) => status === 200,
    30_000,
  );
  return { tenant, id: answer.body.job_id, fails };
}

describe("nothing accepted is lost, nothing is submitted twice", () => {
  it(`${JOBS} jobs of ${TENANTS} tenants, and a worker killed ${KILLS} times`, async ({ annotate }) => {
    cluster = await startCluster();
    const db = new DatabaseSync(cluster.dbPath, { readOnly: true });
    const takeovers: number[] = [];

    const submitted: Promise<{ tenant: string; id: string; fails: boolean }>[] = [];
    const submitting = (async () => {
      for (let index = 0; index < JOBS; index += 1) {
        submitted.push(submitUntilAnswered(index));
        await systemClock.sleep(60);
      }
    })();

    for (let kill = 0; kill < KILLS; kill += 1) {
      // A random moment: that is what is under test.
      await systemClock.sleep(Math.random() * 1_500);
      const name = cluster.workerNames[Math.floor(Math.random() * cluster.workerNames.length)] ?? "worker-1";
      const term = termOf(db, name);
      cluster.worker(name).signal("SIGKILL");
      const killedMs = systemClock.monotonicMs();
      await cluster.worker(name).ended;
      if (kill % 2 === 0) await cluster.startWorker(name);
      await eventually(
        () => ownedByDead(db, name, term),
        (count) => count === 0,
        TAKEOVER_MS,
      );
      takeovers.push(Math.round(systemClock.monotonicMs() - killedMs));
      if (kill % 2 === 1) await cluster.startWorker(name);
    }
    await submitting;
    const jobs = await Promise.all(submitted);

    for (const { tenant, id, fails } of jobs) {
      const job = await cluster.until(tenant, id, isTerminal, 60_000);
      expect(job.status, JSON.stringify(job)).toBe(fails ? "FAILED" : "COMPLETED");
    }
    for (let index = 0; index < JOBS; index += 1) {
      expect(await cluster.linesOf(`job-${index}`), `job ${index}`).toEqual(["ran"]);
    }
    const left = db.prepare("SELECT count(*) AS n FROM jobs WHERE status IN ('PENDING', 'RUNNING')").get();
    expect(left).toEqual({ n: 0 });
    expect(db.prepare("SELECT count(*) AS n FROM jobs").get()).toEqual({ n: JOBS });
    db.close();
    await annotate(`takeovers after a kill, ms (restarted, not, …): ${takeovers.join(" ")}`);
  }, 150_000);

  it("SIGTERM to a worker under load: no accepted call fails, its jobs are taken over without waiting for the TTL", async () => {
    cluster = await startCluster();
    const db = new DatabaseSync(cluster.dbPath, { readOnly: true });
    const running = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        cluster.submit(`tenant-${i}`, `echo ran >> ${cluster.folder}/term-${i}; sleep 4`),
      ),
    );
    const term = termOf(db, "worker-2");
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
    const termedMs = systemClock.monotonicMs();
    cluster.worker("worker-2").signal("SIGTERM");
    expect(await cluster.worker("worker-2").ended).toEqual({ code: 0, signal: null });
    await eventually(
      () => ownedByDead(db, "worker-2", term),
      (count) => count === 0,
      2_500,
    );
    const tookMs = systemClock.monotonicMs() - termedMs;
    for (const { status, body } of await load) expect(status, JSON.stringify(body)).toBe(200);
    for (const [i, id] of running.entries()) {
      expect((await cluster.until(`tenant-${i}`, id, isTerminal, 30_000)).status).toBe("COMPLETED");
      expect(await cluster.linesOf(`term-${i}`)).toEqual(["ran"]);
    }
    db.close();
    expect(tookMs).toBeLessThan(TAKEOVER_MS);
  }, 90_000);

  it("the gateway killed and restarted: what was answered ends right, and callers are served again", async () => {
    cluster = await startCluster();
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
      expect((await cluster.until(`tenant-${i}`, id, isTerminal, 30_000)).status).toBe("COMPLETED");
      expect(await cluster.linesOf(`gw-${i}`)).toEqual(["ran"]);
    }
  }, 90_000);
});
