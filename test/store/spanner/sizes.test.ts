import { protos } from "@google-cloud/spanner";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { JobStore, NewJob } from "#pkg/store/index.ts";
import { type FaultProxy, startFaultProxy } from "#test/support/fault-proxy.ts";
import { newJob } from "#test/support/new-job.ts";
import { describeOnSpanner, spannerStoreOf } from "#test/support/spanner-emulator.ts";

const { CommitRequest } = protos.google.spanner.v1;
/** Fewer than the port allows: the emulator needs seconds for a thousand. */
const CLAIM = 200;

describeOnSpanner("spanner at its largest", (emulator) => {
  let proxy: FaultProxy;
  let store: JobStore;

  beforeAll(async () => {
    const { host } = emulator();
    const database = await emulator().createDatabase("migrated");
    proxy = await startFaultProxy(host);
    store = spannerStoreOf(database);
    process.env.SPANNER_EMULATOR_HOST = proxy.host;
    await store.start();
    process.env.SPANNER_EMULATOR_HOST = host;
  });
  afterAll(async () => {
    await store.stop();
    await proxy.stop();
  });

  /**
   * How many rows of a table the commits since the `from`-th wrote, each as often as it was sent: one that took too long is
   * asked for again.
   */
  function wholeCommits(from: number, table: string): Set<number> {
    const commits = proxy.requests("Commit").slice(from);
    return new Set(
      commits.map((bytes) => {
        const writes = (CommitRequest.decode(bytes).mutations ?? []).map(
          ({ insert, update, insertOrUpdate }) => insert ?? update ?? insertOrUpdate,
        );
        return writes
          .filter((write) => write?.table === table)
          .reduce((sum, write) => sum + (write?.values?.length ?? 0), 0);
      }),
    );
  }

  it("the largest group of inserts is one commit, and so is a claim", async () => {
    const { maxGroup } = store.capabilities;
    const fresh = (index: number): NewJob =>
      newJob({
        target: "test/sizes",
        idempotencyKey: `key ${index}`,
        sealedEnv: new Uint8Array(64),
        sealingKeyId: "k",
      });
    const atFirst = proxy.requests("Commit").length;
    const results = await store.insertJobs(Array.from({ length: maxGroup }, (_, index) => fresh(index)));
    expect(results.every((result) => result.kind === "inserted")).toBe(true);
    expect(wholeCommits(atFirst, "Jobs")).toEqual(new Set([maxGroup]));
    const before = proxy.requests("Commit").length;
    const taken = await store.claimJobs({
      claimer: { workerId: "claimer", term: 1 },
      targets: ["test/sizes"],
      level: 1,
      dead: [],
      livingTargets: ["test/sizes"],
      nowMs: Number.MAX_SAFE_INTEGER,
      includeUnowned: true,
      limit: CLAIM,
    });
    expect(taken).toHaveLength(CLAIM);
    expect(wholeCommits(before, "Jobs")).toEqual(new Set([CLAIM]));
  });

  it("a job as large as a request may be reads back whole, alone and among others", async () => {
    const large = () => {
      const job = newJob({ tenantId: "large" });
      return { ...job, spec: { ...job.spec, commands: ["ü".repeat(500_000), "end"] } };
    };
    const jobs = [large(), large(), large(), newJob({ tenantId: "large" })];
    await store.insertJobs(jobs);
    const read = await store.getJobs(jobs);
    expect(new Map(read.map((job) => [job.jobId, job.spec]))).toEqual(
      new Map(jobs.map((job) => [job.jobId, job.spec])),
    );
  });
});
