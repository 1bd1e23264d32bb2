import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { CreatePhase, JobStatus } from "#pkg/job/index.ts";
import { newJob } from "#test/support/new-job.ts";
import { eventually, PATIENCE_MS } from "#test/support/node-process.ts";
import { type Cluster, startCluster } from "./cluster.ts";

let cluster: Cluster;
afterEach(() => cluster.stop());

const FINISHED = 20_000;
const RUNNING = 5_000;
const GROUP = 200;
const MEASURE_MS = 12_000;
/** Nobody is taken for dead: a takeover would write thousands of rows. */
const TTL_MS = 15_000;

it("with 20,000 finished and 5,000 running rows an idle cluster writes O(workers) rows a second, and none of a job", async ({
  annotate,
}) => {
  cluster = await startCluster({ env: { WORKER_LEASE_TTL_SECONDS: String(TTL_MS / 1000) } });
  const path = join(cluster.folder, "jennah.db");
  const db = new DatabaseSync(path, { readOnly: true, timeout: PATIENCE_MS });
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

  const begunMs = systemClock.monotonicMs();
  const recorded = recordWrites(path);
  // What is counted is what happens in a length of time.
  await systemClock.sleep(MEASURE_MS);
  const writes = recorded();
  const tookMs = systemClock.monotonicMs() - begunMs;
  expect(writes.filter((write) => !RENEWAL.test(write))).toEqual([]);
  expect(writes.length).toBeGreaterThan(0);
  expect(writes.length).toBeLessThanOrEqual(cluster.workerNames.length * (tookMs / (TTL_MS / 3) + 1));
  await annotate(`rows written in ${(tookMs / 1000).toFixed(1)} s: ${writes.length}, all of them renewals`);

  const page = await cluster.call<{ jobs: unknown[]; next_page_token: string }>("ListJobs", "tenant-1", {});
  expect(page.body.jobs).toHaveLength(50);
  expect(page.body.next_page_token).not.toBe("");
  db.close();
});

/** As `recordWrites` tells of it: a worker's row with another beat, which may carry how many jobs it has. */
const RENEWAL = /^UPDATE workers: beat( load)?$/;

/**
 * Has triggers write down each row that whoever writes, in whichever table, from now on; answers what tells of them: what was
 * done to it, and which columns of one that stays have other values now.
 */
function recordWrites(path: string): () => readonly string[] {
  const db = new DatabaseSync(path, { timeout: PATIENCE_MS });
  const tables = db.prepare(
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
  );
  const triggers = tables.all().flatMap(({ name }) => {
    const columns = db.prepare("SELECT name FROM pragma_table_info(?)").all(String(name));
    const changed = columns.map(
      (column) => `iif(OLD.${column.name} IS NEW.${column.name}, '', ' ${column.name}')`,
    );
    return [
      ["INSERT", "''"],
      ["DELETE", "''"],
      ["UPDATE", changed.join(" || ")],
    ].map(
      ([verb, what]) =>
        `CREATE TRIGGER recorded_${verb}_${name} AFTER ${verb} ON ${name}
         BEGIN INSERT INTO recorded_writes VALUES ('${verb} ${name}:' || ${what}); END;`,
    );
  });
  db.exec(
    `BEGIN IMMEDIATE; CREATE TABLE recorded_writes (what TEXT NOT NULL); ${triggers.join("\n")} COMMIT`,
  );
  return () => {
    const rows = db.prepare("SELECT what FROM recorded_writes").all();
    db.close();
    return rows.map(({ what }) => String(what));
  };
}
