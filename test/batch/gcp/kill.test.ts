import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createJobId } from "#pkg/job/index.ts";
import type { Misbehaviour } from "#test/clouds/gcp/misbehaviour.ts";
import { type RemoteCloud, type RemoteState, startRemoteCloud } from "#test/clouds/gcp/remote.ts";
import { type Cluster, startCluster } from "#test/e2e/cluster.ts";
import { eventually } from "#test/support/node-process.ts";

/**
 * A worker that is killed with calls to the cloud in flight, each at another point of its way, and the other worker takes
 * over. The cloud, a process of its own that outlives them, counts what was made.
 */
let cloud: RemoteCloud;
let cluster: Cluster;
beforeAll(async () => {
  cloud = await startRemoteCloud();
  const env = {
    BATCH_PROVIDER: "gcp",
    BATCH_PROJECT_ID: "test-project",
    BATCH_REGION: "us-central1",
    BATCH_ENDPOINT: cloud.endpoint,
    BATCH_SERVICE_ACCOUNT: "jobs@test-project.iam.gserviceaccount.com",
    // A call is given up when the trust ends, so there must be time to catch it stalled. A restart waits for no lease.
    WORKER_LEASE_TTL_SECONDS: "12",
  };
  cluster = await startCluster({ workers: 2, env });
}, 60_000);
afterAll(async () => {
  await cluster?.stop();
  await cloud?.stop();
}, 60_000);

const TENANT = "tenant";
const isOver = ({ status }: { status: string }) => ["COMPLETED", "FAILED", "CANCELLED"].includes(status);

/** A job that the first worker owns, under an id that is known before. */
async function submit(jobId: string, seconds: number): Promise<void> {
  const body = {
    image_uri: "app:1",
    entrypoint: "/bin/sleep",
    commands: [String(seconds)],
    wait_seconds: 0,
  };
  const answer = await cluster.call("SubmitJob", TENANT, body, {
    url: cluster.urlOf("worker-1"),
    headers: { "x-jennah-job-id": jobId },
  });
  expect(answer.status).toBe(200);
}

async function untilStalled(count: number): Promise<void> {
  await eventually(
    () => cloud.state(),
    ({ stalled }) => stalled === count,
    5_000,
  );
}

/** Stops the first worker in its tracks, lets the cloud go on, and kills it without its having seen what came back. */
async function killWhileStalled(count: number): Promise<void> {
  await untilStalled(count);
  await cluster.worker("worker-1").freeze();
  await cloud.act("letGo");
  // The answers lie in the sockets of a process that reads no more.
  await untilStalled(0);
  await cluster.worker("worker-1").kill();
}

const madeOf = ({ made }: RemoteState, jobId: string) =>
  Object.entries(made).filter(([name]) => name.includes(jobId));
const newJobId = () => createJobId(systemClock, systemEntropy);

describe("a worker killed between the intent and the answer", () => {
  const points: Readonly<Record<string, Omit<Misbehaviour, "method">>> = {
    "the request came, and was lost": { stall: "drop" },
    "the request came, and was done once nobody waited": { stall: "do", silent: true },
    "done, and the answer lost": { silent: true },
    "done, and the answer an error": { stall: "do", after: { status: "UNAVAILABLE", words: "lost" } },
    "done, and the answer come but not read": { stall: "do" },
    "answered and committed": {},
  };

  it.each([0, 10_000])(
    "leaves one batch job for each attempt, with lists that lag %i ms",
    async (lagMs) => {
      await cloud.act("lagLists", lagMs);
      const jobs = Object.entries(points).map(([point, fault]) => ({ point, fault, jobId: newJobId() }));
      for (const { fault, jobId } of jobs) {
        await cloud.act("misbehave", { method: "CreateJob", job: jobId, ...fault });
      }
      await Promise.all(jobs.map(({ jobId }) => submit(jobId, 1)));
      const stalling = jobs.filter(({ fault }) => fault.stall !== undefined).length;
      await killWhileStalled(stalling);
      await cluster.startWorker("worker-1");

      const table: string[] = [];
      for (const { point, jobId } of jobs) {
        const job = await cluster.until(TENANT, jobId, isOver, 30_000);
        const made = madeOf(await cloud.state(), jobId);
        table.push(`${point}: ${made.map(([, count]) => count).join("+")} batch job, ${job.status}`);
        expect(job, point).toMatchObject({ status: "COMPLETED", attempt: 1 });
        expect(made, point).toEqual([[expect.stringContaining(`${jobId}-1`), 1]]);
      }
      process.stdout.write(
        `killed between intent and answer, lists lagging ${lagMs} ms:\n  ${table.join("\n  ")}\n`,
      );
    },
    60_000,
  );
});

describe("a worker killed under a cancel", () => {
  const points: Readonly<Record<string, Omit<Misbehaviour, "job">>> = {
    "a create in doubt that was lost": { method: "CreateJob", stall: "drop" },
    "a create in doubt that was done": { method: "CreateJob", stall: "do" },
    "the cancel came, and was lost": { method: "CancelJob", stall: "drop" },
    "the cancel came, and was done once nobody waited": { method: "CancelJob", stall: "do" },
  };

  it("leaves nothing that runs", async () => {
    const jobs = Object.entries(points).map(([point, fault]) => ({ point, fault, jobId: newJobId() }));
    const running = jobs.filter(({ fault }) => fault.method === "CancelJob");
    for (const { jobId } of running) await submit(jobId, 300);
    for (const { jobId } of running) {
      await cluster.until(TENANT, jobId, ({ status }) => status === "RUNNING", 10_000);
    }
    for (const { fault, jobId } of jobs) await cloud.act("misbehave", { ...fault, job: jobId });
    // All of it within the trust of the creates, which are given up and tried again after that.
    const creating = jobs.filter(({ fault }) => fault.method === "CreateJob");
    await Promise.all(creating.map(({ jobId }) => submit(jobId, 300)));
    await untilStalled(creating.length);
    const url = cluster.urlOf("worker-1");
    const asked = jobs.map(({ jobId }) => cluster.call("CancelJob", TENANT, { job_id: jobId }, { url }));
    for (const { status } of await Promise.all(asked)) expect(status).toBe(200);
    await killWhileStalled(jobs.length);
    await cluster.startWorker("worker-1");

    const table: string[] = [];
    for (const { point, jobId } of jobs) {
      const job = await cluster.until(TENANT, jobId, isOver, 30_000);
      const state = await cloud.state();
      const left = state.jobs.filter(({ id }) => id.includes(jobId)).map((each) => each.state);
      table.push(`${point}: ${job.status}; in the cloud ${left.join(" ")}`);
      expect(job.status, point).toBe("CANCELLED");
      expect(left, point).toEqual(["CANCELLED"]);
    }
    process.stdout.write(`killed under a cancel:\n  ${table.join("\n  ")}\n`);
  }, 60_000);
});
