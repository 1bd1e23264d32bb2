import { expect } from "vitest";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createJobId, isTerminal, type Job, type JobStatus } from "#pkg/job/index.ts";
import type { Misbehaviour } from "#test/clouds/gcp/misbehaviour.ts";
import { type RemoteCloud, startRemoteCloud } from "#test/clouds/gcp/remote.ts";
import { gcpEnv, type StoreBackend } from "#test/e2e/backends.ts";
import { type Cluster, startCluster } from "#test/e2e/cluster.ts";
import { eventually } from "#test/support/node-process.ts";

/** Workers over a store, and the cloud in a process of its own that outlives them and counts what was made. */
export interface KillWorld {
  readonly cloud: RemoteCloud;
  readonly cluster: Cluster;
  /** Asks the first worker for a job that sleeps, under an id that is known before; resolves with the HTTP status. */
  submit(jobId: string, seconds: number): Promise<number>;
  cancel(jobId: string): Promise<number>;
  /** What befalls calls about a job. */
  befall(jobId: string, fault: Omit<Misbehaviour, "job">): Promise<void>;
  /** The row now, read past the workers; undefined while it is not there. */
  rowOf(jobId: string): Promise<Job | undefined>;
  untilRow(jobId: string, holds: (row: Job) => boolean): Promise<Job>;
  untilStatus(jobId: string, status: JobStatus): Promise<Job>;
  untilStalled(count: number): Promise<void>;
  /**
   * Stops the first worker in its tracks when so many of its requests lie in the cloud, lets the cloud go on, and kills it
   * without its having seen what came back.
   */
  killWhileStalled(count: number): Promise<void>;
  /** Waits for a job's end, holds that each attempt became one batch job, and says so in a line. */
  countOnce(jobId: string, point: string): Promise<string>;
  /** Waits for the end of a job whose cancel was asked for, holds that nothing of it runs, and says so in a line. */
  countNone(jobId: string, point: string): Promise<string>;
  close(): Promise<void>;
}

export const newJobId = () => createJobId(systemClock, systemEntropy);

const TENANT = "tenant";

export async function openKillWorld(
  store: StoreBackend,
  options: { readonly workers: number; readonly env: Readonly<Record<string, string>> },
): Promise<KillWorld> {
  const cloud = await startRemoteCloud();
  const backend = { store, batchEnv: () => gcpEnv(cloud.endpoint) };
  const cluster = await startCluster({ ...options, backend }).catch(async (error: unknown) => {
    await cloud.stop();
    throw error;
  });
  const url = cluster.urlOf("worker-1");

  async function untilStalled(count: number): Promise<void> {
    await eventually(
      () => cloud.state(),
      ({ stalled }) => stalled === count,
    );
  }

  const rowOf = async (jobId: string) => (await cluster.store.getJobs([{ tenantId: TENANT, jobId }]))[0];

  async function untilRow(jobId: string, holds: (row: Job) => boolean): Promise<Job> {
    const row = await eventually(
      () => rowOf(jobId),
      (each) => each !== undefined && holds(each),
    );
    if (row === undefined) throw new Error("what holds of a row has one");
    return row;
  }

  return {
    cloud,
    cluster,
    untilStalled,
    async submit(jobId, seconds) {
      const program = { entrypoint: "/bin/sleep", commands: [String(seconds)] };
      const headers = { "x-jennah-job-id": jobId };
      const body = { image_uri: "app:1", ...program, wait_seconds: 0 };
      return (await cluster.call("SubmitJob", TENANT, body, { url, headers })).status;
    },
    cancel: async (jobId) => (await cluster.call("CancelJob", TENANT, { job_id: jobId }, { url })).status,
    befall: (job, fault) => cloud.act("misbehave", { ...fault, job }),
    rowOf,
    untilRow,
    untilStatus: (jobId, status) => untilRow(jobId, (row) => row.status === status),
    async killWhileStalled(count) {
      await untilStalled(count);
      await cluster.worker("worker-1").freeze();
      await cloud.act("letGo");
      // The answers lie in the sockets of a process that reads no more.
      await untilStalled(0);
      await cluster.worker("worker-1").kill();
    },
    async countOnce(jobId, point) {
      const job = await untilRow(jobId, ({ status }) => isTerminal(status));
      const made = Object.entries((await cloud.state()).made).filter(([name]) => name.includes(jobId));
      expect(job, point).toMatchObject({ status: "COMPLETED", attempt: 1 });
      expect(made, point).toEqual([[expect.stringContaining(`${jobId}-1`), 1]]);
      return `${point.padEnd(70)} ${made.map(([, count]) => count).join("+")} batch job, ${job.status}`;
    },
    async countNone(jobId, point) {
      const job = await untilRow(jobId, ({ status }) => isTerminal(status));
      const left = (await cloud.state()).jobs.filter(({ id }) => id.includes(jobId));
      const states = left.map(({ state }) => state);
      expect(job.status, point).toBe("CANCELLED");
      expect(states, point).toEqual(["CANCELLED"]);
      return `${point.padEnd(70)} ${job.status}; in the cloud ${states.join(" ")}`;
    },
    async close() {
      await cluster.stop();
      await cloud.stop();
    },
  };
}

/** Shows a table with the tests' output. */
export function print(title: string, lines: readonly string[]): void {
  process.stdout.write(`${title}:\n  ${lines.join("\n  ")}\n`);
}
