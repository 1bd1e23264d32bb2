import { DatabaseSync } from "node:sqlite";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { freezeBetweenWrites } from "#test/support/freeze.ts";
import { eventually } from "#test/support/node-process.ts";
import { type Cluster, type JobJson, startCluster, TAKEOVER_MS, TTL_MS } from "./cluster.ts";

/** Workers that freeze, a store that is locked, targets that nobody serves: by real signals and a real lock. */
let cluster: Cluster;
let db: DatabaseSync;
afterEach(async () => {
  db.close();
  await cluster.stop();
});

async function start(options?: Parameters<typeof startCluster>[0]): Promise<void> {
  cluster = await startCluster(options);
  db = new DatabaseSync(cluster.dbPath, { readOnly: true });
}

const isTerminal = ({ status }: JobJson) => ["COMPLETED", "FAILED", "CANCELLED"].includes(status);
const workerRow = (id: string) => db.prepare("SELECT term, over FROM workers WHERE worker_id = ?").get(id);
/** A tenant whose home is this worker: found by asking. */
async function tenantAt(worker: string): Promise<string> {
  for (let i = 0; ; i += 1) {
    const { body } = await cluster.call<{ worker_assigned?: string }>("SubmitJob", `probe-${i}`, {
      image_uri: "a",
      entrypoint: "/bin/true",
    });
    if (body.worker_assigned === worker) return `probe-${i}`;
  }
}
const actorsAfter = (id: string, rowid: number) =>
  db.prepare("SELECT actor, term FROM events WHERE job_id = ? AND seq > ?").all(id, rowid);

describe("a frozen worker", () => {
  it("wakes after its TTL, finds its term over, writes nothing, begins a new term and is useful again", async () => {
    await start();
    const tenant = await tenantAt("worker-2");
    const ids = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        cluster.submit(tenant, `echo ran >> ${cluster.folder}/f-${i}; sleep 12`),
      ),
    );
    expect((await cluster.getJob(tenant, ids[0] ?? "")).owner).toBe("worker-2");
    const frozen = cluster.worker("worker-2");
    await freezeBetweenWrites(frozen, cluster.dbPath);
    // The gateway finds out and sends the tenant's calls elsewhere.
    const jobs = await eventually(
      () => Promise.all(ids.map((id) => cluster.getJob(tenant, id))),
      (all) => all.every((job) => job.owner !== "worker-2"),
      TAKEOVER_MS + 10_000,
    );
    const seqs = jobs.map((job) => Math.max(...(job.events ?? []).map((event) => event.seq)));
    frozen.signal("SIGCONT");
    await frozen.line((line) => line.includes("term is over"));
    await eventually(
      () => workerRow("worker-2"),
      (row) => row?.term === 2 && row.over === 0,
      3_000,
    );
    for (const [i, id] of ids.entries()) {
      expect((await cluster.until(tenant, id, isTerminal, 40_000)).status).toBe("COMPLETED");
      expect(await cluster.linesOf(`f-${i}`)).toEqual(["ran"]);
      for (const { actor } of actorsAfter(id, seqs[i] ?? 0)) expect(actor).not.toBe("worker-2");
    }
    // Home again: its tenant's calls come back, and it owns what it accepts.
    await eventually(
      async () =>
        (
          await cluster.call<{ worker_assigned?: string }>("SubmitJob", tenant, {
            image_uri: "a",
            entrypoint: "/bin/true",
          })
        ).body,
      (body) => body.worker_assigned === "worker-2",
      10_000,
    );
  }, 90_000);

  it("whose WORKER_ID another process took says so when it wakes, and exits 78", async () => {
    await start();
    const frozen = cluster.worker("worker-1");
    await freezeBetweenWrites(frozen, cluster.dbPath);
    // On a port of its own: the frozen one still holds the other.
    await cluster.startWorker("worker-1", { WORKER_PORT: "0" });
    frozen.signal("SIGCONT");
    expect((await frozen.ended).code).toBe(78);
    expect(frozen.lines.some((line) => line.includes("WORKER_ID worker-1 is in use by instance "))).toBe(
      true,
    );
  }, 60_000);
});

describe("the store", () => {
  it("locked by another process for 5 s costs nobody a term, and calls that wait for it succeed", async () => {
    await start();
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        cluster.submit(`t-${i}`, `echo ran >> ${cluster.folder}/l-${i}; sleep 2`),
      ),
    );
    const lock = new DatabaseSync(cluster.dbPath);
    lock.exec("BEGIN IMMEDIATE");
    const waiting = cluster.submit("t-late", `echo ran >> ${cluster.folder}/late`);
    // The outage itself, which is a length of time.
    await systemClock.sleep(5_000);
    lock.exec("ROLLBACK");
    lock.close();
    const late = await waiting;
    expect((await cluster.until("t-late", late, isTerminal, 20_000)).status).toBe("COMPLETED");
    for (const [i, id] of ids.entries()) {
      expect((await cluster.until(`t-${i}`, id, isTerminal, 30_000)).status).toBe("COMPLETED");
      expect(await cluster.linesOf(`l-${i}`)).toEqual(["ran"]);
    }
    await systemClock.sleep(TTL_MS);
    for (const name of cluster.workerNames) expect(workerRow(name)).toEqual({ term: 1, over: 0 });
  }, 60_000);
});

describe("targets", () => {
  it("jobs of a target that no worker serves wait with NO_WORKER, and run when one comes; no other worker touches them", async () => {
    await start({ workers: 2 });
    const own = await cluster.submit("a", "true");
    const here = String((await cluster.getJob("a", own)).target);
    await cluster.worker("worker-2").kill();
    // The same machine with another work folder is another target.
    const other = { LOCAL_WORKDIR: `${cluster.folder}/other` };
    await cluster.startWorker("worker-2", other);
    const there = String(
      db
        .prepare("SELECT json_extract(targets, '$[0]') AS target FROM workers WHERE worker_id = 'worker-2'")
        .get()?.target,
    );
    expect(there).not.toBe(here);
    cluster.worker("worker-2").signal("SIGTERM");
    await cluster.worker("worker-2").ended;
    const id = await cluster.submit("a", `echo ran >> ${cluster.folder}/there`, { target: there });
    // What serves what is looked at every half second or so.
    await cluster.until("a", id, (job) => job.status === "PENDING" && job.wait_reason === "NO_WORKER", 5_000);
    await cluster.startWorker("worker-2", other);
    const job = await cluster.until("a", id, isTerminal, 20_000);
    expect(job.status).toBe("COMPLETED");
    expect(new Set((job.events ?? []).slice(1).map((event) => event.actor))).toEqual(new Set(["worker-2"]));
  }, 60_000);
});
