import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { type RemoteCloud, startRemoteCloud } from "#test/clouds/gcp/remote.ts";
import { gcpEnv, onSpanner } from "#test/e2e/backends.ts";
import { type Cluster, type JobJson, startCluster, TTL_MS } from "#test/e2e/cluster.ts";
import { type FaultProxy, startFaultProxy } from "#test/support/fault-proxy.ts";
import { describeOnSpanner } from "#test/support/spanner-emulator.ts";

const TENANT = "test-tenant";
const iso = (ms: number) => timestampDate(timestampFromMs(ms)).toISOString();

/** What a worker says whenever it could not renew its term. */
const UNHEARD = "the term could not be renewed";

describeOnSpanner("a worker with its rows in Spanner and its jobs in GCP Batch", (emulator) => {
  let cloud: RemoteCloud;
  let proxy: FaultProxy;
  let cluster: Cluster;
  /** Where jobs run. */
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "jennah-gcp-spanner-"));
    cloud = await startRemoteCloud(folder);
    proxy = await startFaultProxy(emulator().host);
  });
  afterAll(async () => {
    await cloud?.stop();
    await proxy?.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  /** One worker, which reaches Spanner by the proxy alone. */
  async function startWorker(env: Readonly<Record<string, string>> = {}): Promise<void> {
    const backend = { store: onSpanner(emulator(), proxy.host), batchEnv: () => gcpEnv(cloud.endpoint) };
    cluster = await startCluster({ workers: 1, backend, env });
  }

  const submit = (script: string) => cluster.submit(TENANT, script, { wait_seconds: 0 });
  const until = (jobId: string, holds: (job: JobJson) => boolean) => cluster.until(TENANT, jobId, holds);

  describe("that renews seldom", () => {
    const JOBS = 3;
    const MOST_TRANSACTIONS = 4;

    // No renewal comes between the transactions that are counted.
    beforeAll(() => startWorker({ WORKER_LEASE_TTL_SECONDS: "600" }));
    afterAll(() => cluster?.stop());

    it(`spends at most ${MOST_TRANSACTIONS} transactions on a job that is seen running and goes well`, async () => {
      const counts: number[] = [];
      for (let number = 0; number < JOBS; number++) {
        const before = proxy.count("Commit");
        const jobId = await submit(
          `for i in $(seq 600); do [ -e go-${number} ] && exit 0; sleep 0.1; done; exit 1`,
        );
        await until(jobId, ({ started_at }) => started_at !== undefined);
        await writeFile(join(folder, `go-${number}`), "");
        const { events = [] } = await until(jobId, ({ status }) => status === "COMPLETED");
        expect(events.map(({ type }) => type)).toEqual(["SUBMITTED", "ACCEPTED", "STARTED", "COMPLETED"]);
        counts.push(proxy.count("Commit") - before);
      }
      process.stdout.write(
        `transactions of each of ${JOBS} jobs seen running that went well, over Spanner and GCP Batch: ${counts.join(", ")}\n`,
      );
      expect(Math.min(...counts)).toBeGreaterThan(0);
      // A commit that takes too long is asked for again, so the least of them counts.
      expect(Math.min(...counts)).toBeLessThanOrEqual(MOST_TRANSACTIONS);
    });
  });

  describe("that is cut off from Spanner for longer than its lease", () => {
    const JOBS = 8;
    /** Creates in doubt are sent again after waits that grow; in this time some of so many would be. */
    const OUTAGE_MS = 3 * TTL_MS;

    beforeAll(() => startWorker());
    afterAll(() => cluster?.stop());

    /** Resolves when the worker has said, at this moment or later, that it is not heard. */
    async function untilUnheardAt(wallMs: number): Promise<void> {
      const at = iso(wallMs);
      await cluster.worker("worker-1").line((line) => line.includes(UNHEARD) && JSON.parse(line).time >= at);
    }

    const creates = async () => (await cloud.state()).calls.CreateJob ?? 0;

    it("creates nothing past its trust, and each job once when it is heard again", async () => {
      await cloud.act("refuseAll", { status: "UNAVAILABLE", words: "later" });
      const jobIds = await Promise.all(Array.from({ length: JOBS }, () => submit("exit 0")));
      // Of these a create is in doubt: it is sent again without a word to the store.
      for (const jobId of jobIds) await until(jobId, ({ wait_reason }) => wait_reason === "UNCONFIRMED");
      await proxy.cut();
      const cutAtMs = systemClock.nowMs();
      await untilUnheardAt(cutAtMs + TTL_MS);
      const before = await creates();
      await untilUnheardAt(cutAtMs + OUTAGE_MS);
      expect(await creates()).toBe(before);

      await cloud.act("refuseAll", null);
      await proxy.mend();
      for (const jobId of jobIds) await until(jobId, ({ status }) => status === "COMPLETED");
      const { made, jobs } = await cloud.state();
      for (const jobId of jobIds) {
        const names = Object.keys(made).filter((name) => name.includes(jobId));
        expect(names.map((name) => made[name])).toEqual([1]);
        expect(jobs.find(({ id }) => id === names[0])?.starts).toBe(1);
      }
    });
  });
});
