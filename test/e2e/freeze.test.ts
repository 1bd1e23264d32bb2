import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { eventually } from "#test/support/node-process.ts";
import { describeOnBackends } from "./backends.ts";
import { type Cluster, type JobJson, startCluster } from "./cluster.ts";

/** Workers that freeze, a store that is locked, targets that nobody serves: by real signals and a real lock. */
let cluster: Cluster;
afterEach(() => cluster.stop());

/** So long that no worker comes back so much later than another that it may be taken for dead. */
const LONG_TTL_MS = 10_000;
/** Longer than a term lives without a renewal. */
const OUTAGE_MS = LONG_TTL_MS + 1_000;
const isTerminal = ({ status }: JobJson) => ["COMPLETED", "FAILED", "CANCELLED"].includes(status);
const workerRow = async (id: string) =>
  (await cluster.store.readWorkers()).find(({ workerId }) => workerId === id);
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
/** Submits one job until it is answered, as a caller with an idempotency key does. */
async function submitUntilAnswered(tenant: string, script: string): Promise<string> {
  const body = { image_uri: "app", entrypoint: "/bin/sh", commands: ["-c", script] };
  const headers = { "idempotency-key": "the-key" };
  const { body: answer } = await eventually(
    () => cluster.call<{ job_id: string }>("SubmitJob", tenant, body, { headers }),
    ({ status }) => status === 200,
  );
  return answer.job_id;
}

/** Who wrote to a job after its event with this number. */
async function actorsAfter(tenantId: string, jobId: string, seq: number): Promise<string[]> {
  const events = await cluster.store.listEvents({ tenantId, jobId });
  return events.filter((event) => event.seq > seq).map(({ actor }) => actor);
}

describeOnBackends((name, backend) => {
  describe("a frozen worker", () => {
    it("wakes after its TTL, finds its term over, writes nothing, begins a new term and is useful again", async () => {
      cluster = await startCluster({ backend: backend() });
      const tenant = await tenantAt("worker-2");
      const ids = await Promise.all(
        Array.from({ length: 10 }, (_, i) =>
          cluster.submit(
            tenant,
            `echo ran >> ${cluster.folder}/f-${i}; until [ -e ${cluster.folder}/go ]; do sleep 0.1; done`,
          ),
        ),
      );
      expect((await cluster.getJob(tenant, ids[0] ?? "")).owner).toBe("worker-2");
      const { term = 0 } = (await workerRow("worker-2")) ?? {};
      const frozen = cluster.worker("worker-2");
      await cluster.freeze(frozen);
      // The gateway finds out and sends the tenant's calls elsewhere.
      const jobs = await eventually(
        () => Promise.all(ids.map((id) => cluster.until(tenant, id, () => true))),
        (all) => all.every((job) => job.owner !== "worker-2"),
      );
      const seqs = jobs.map((job) => Math.max(...(job.events ?? []).map((event) => event.seq)));
      frozen.signal("SIGCONT");
      await frozen.line((line) => line.includes("term is over"));
      await eventually(
        () => workerRow("worker-2"),
        (row) => (row?.term ?? 0) > term && !row?.over,
      );
      await writeFile(join(cluster.folder, "go"), "");
      for (const [i, id] of ids.entries()) {
        expect((await cluster.until(tenant, id, isTerminal)).status).toBe("COMPLETED");
        expect(await cluster.linesOf(`f-${i}`)).toEqual(["ran"]);
        expect(await actorsAfter(tenant, id, seqs[i] ?? 0)).not.toContain("worker-2");
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
      );
    });

    it("whose WORKER_ID another process took says so when it wakes, and exits 78", async () => {
      cluster = await startCluster({ backend: backend() });
      const frozen = cluster.worker("worker-1");
      await cluster.freeze(frozen);
      // On a port of its own: the frozen one still holds the other.
      await cluster.startWorker("worker-1", { WORKER_PORT: "0" });
      frozen.signal("SIGCONT");
      expect((await frozen.ended).code).toBe(78);
      expect(frozen.lines.some((line) => line.includes("WORKER_ID worker-1 is in use by instance "))).toBe(
        true,
      );
    });
  });

  describe("the store", () => {
    it("standing still for longer than the TTL costs nobody a term, and calls that wait for it succeed", async () => {
      const env = { WORKER_LEASE_TTL_SECONDS: String(LONG_TTL_MS / 1000) };
      cluster = await startCluster({ backend: backend(), env });
      const ids = await Promise.all(
        Array.from({ length: 20 }, (_, i) =>
          cluster.submit(`t-${i}`, `echo ran >> ${cluster.folder}/l-${i}; sleep 2`),
        ),
      );
      // The outage itself is a length of time.
      const outage = cluster.whileBlocked(() => systemClock.sleep(OUTAGE_MS));
      const late = await submitUntilAnswered("t-late", `echo ran >> ${cluster.folder}/late`);
      await outage;
      expect((await cluster.until("t-late", late, isTerminal)).status).toBe("COMPLETED");
      expect(await cluster.linesOf("late")).toEqual(["ran"]);
      for (const [i, id] of ids.entries()) {
        expect((await cluster.until(`t-${i}`, id, isTerminal)).status).toBe("COMPLETED");
        expect(await cluster.linesOf(`l-${i}`)).toEqual(["ran"]);
      }
      await systemClock.sleep(LONG_TTL_MS);
      for (const worker of cluster.workerNames) {
        expect(await workerRow(worker)).toMatchObject({ term: 1, over: false });
      }
    });
  });

  describe("targets", () => {
    const isGcp = name === "gcp + spanner";
    const title = `jobs of a target that no worker serves wait with NO_WORKER, and run when one comes; no other worker touches them${isGcp ? " (not run: the cloud in tests is one region of one project, so one target)" : ""}`;
    it.skipIf(isGcp)(title, async () => {
      cluster = await startCluster({ workers: 2, backend: backend() });
      const own = await cluster.submit("a", "true");
      const here = String((await cluster.getJob("a", own)).target);
      await cluster.worker("worker-2").kill();
      // The same machine with another work folder is another target.
      const other = { LOCAL_WORKDIR: `${cluster.folder}/other` };
      await cluster.startWorker("worker-2", other);
      const [there = ""] = (await workerRow("worker-2"))?.targets ?? [];
      expect(there).not.toBe(here);
      cluster.worker("worker-2").signal("SIGTERM");
      await cluster.worker("worker-2").ended;
      const id = await cluster.submit("a", `echo ran >> ${cluster.folder}/there`, { target: there });
      // What serves what is looked at every half second or so.
      await cluster.until("a", id, (job) => job.status === "PENDING" && job.wait_reason === "NO_WORKER");
      await cluster.startWorker("worker-2", other);
      const job = await cluster.until("a", id, isTerminal);
      expect(job.status).toBe("COMPLETED");
      expect(new Set((job.events ?? []).slice(1).map((event) => event.actor))).toEqual(new Set(["worker-2"]));
    });
  });
});
