import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { CreatePhase, JobStatus } from "#pkg/job/index.ts";
import { newJob } from "#test/support/new-job.ts";
import { eventually, PATIENCE_MS } from "#test/support/node-process.ts";
import { type Cluster, startCluster, TTL_MS } from "./cluster.ts";

let cluster: Cluster;
afterEach(() => cluster.stop());

const FINISHED = 20_000;
const RUNNING = 5_000;
const GROUP = 200;
const MEASURE_MS = 6_000;

it("with 20,000 finished and 5,000 running rows an idle cluster writes O(workers) rows a second, and none of a job", async ({
  annotate,
}) => {
  cluster = await startCluster();
  const db = new DatabaseSync(join(cluster.folder, "jennah.db"), { readOnly: true, timeout: PATIENCE_MS });
  const target = String(
    db.prepare("SELECT json_extract(targets, '$[0]') AS target FROM workers LIMIT 1").get()?.target,
  );
  for (let made = 0; made < FINISHED + RUNNING; made += GROUP) {
    const isFinished = made < FINISHED;
    await cluster.store.insertJobs(
      Array.from({ length: GROUP }, (_, index) =>
        newJob({
          tenantId: `tenant-${index % 20}`,
          target,
          status: isFinished ? JobStatus.Completed : JobStatus.Running,
          createPhase: CreatePhase.Confirmed,
          ...(isFinished && { owner: { workerId: "worker-1", term: 1 } }),
        }),
      ),
    );
  }
  const unowned = db.prepare("SELECT count(*) AS n FROM jobs WHERE owner_id IS NULL");
  await eventually(
    () => unowned.get()?.n,
    (count) => count === 0,
  );

  const jobs = db.prepare("SELECT count(*) AS n, sum(version) AS versions FROM jobs");
  const events = db.prepare("SELECT count(*) AS n FROM events");
  const beats = db.prepare("SELECT sum(beat) AS n FROM workers");
  const before = { jobs: jobs.get(), events: events.get(), beats: Number(beats.get()?.n) };
  // What is counted is what happens in a length of time.
  await systemClock.sleep(MEASURE_MS);
  expect(jobs.get()).toEqual(before.jobs);
  expect(events.get()).toEqual(before.events);
  const renewals = Number(beats.get()?.n) - before.beats;
  const expected = cluster.workerNames.length * (MEASURE_MS / (TTL_MS / 3));
  expect(renewals).toBeLessThanOrEqual(expected + cluster.workerNames.length);
  expect(renewals).toBeGreaterThan(0);
  await annotate(`rows written in ${MEASURE_MS / 1000} s: ${renewals}, all of them renewals`);

  const page = await cluster.call<{ jobs: unknown[]; next_page_token: string }>("ListJobs", "tenant-1", {});
  expect(page.body.jobs).toHaveLength(50);
  expect(page.body.next_page_token).not.toBe("");
  db.close();
});
