import { protos } from "@google-cloud/spanner";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { JobStore } from "#pkg/store/index.ts";
import { type FaultProxy, startFaultProxy } from "#test/support/fault-proxy.ts";
import { newJob } from "#test/support/new-job.ts";
import { describeOnSpanner, spannerStoreOf } from "#test/support/spanner-emulator.ts";

const { CommitRequest, CommitResponse, CreateSessionRequest, PartialResultSet, Session, StreamingRead } = {
  ...protos.google.spanner.v1,
  StreamingRead: protos.google.spanner.v1.ReadRequest,
};
const ABORTED = 10;

const token = (seqNum: number) => ({
  precommitToken: { precommitToken: Buffer.from(`token ${seqNum}`), seqNum },
});

/** The emulator has plain sessions only; the proxy adds to its answers what Spanner itself adds. */
describeOnSpanner("spanner with sessions that many transactions share", (emulator) => {
  let proxy: FaultProxy;
  let store: JobStore;

  beforeEach(async () => {
    const { host } = emulator();
    const database = await emulator().createDatabase("migrated");
    proxy = await startFaultProxy(host);
    const multiplexed = Session.encode({ multiplexed: true }).finish();
    proxy.befall("CreateSession", { kind: "amend", fields: multiplexed }, 10);
    store = spannerStoreOf(database);
    process.env.SPANNER_EMULATOR_HOST = proxy.host;
    await store.start();
    process.env.SPANNER_EMULATOR_HOST = host;
  });
  afterEach(async () => {
    await store.stop();
    await proxy.stop();
  });

  it("one session is asked for, and used for reads and transactions", async () => {
    const job = newJob();
    await store.insertJobs([job]);
    await store.getJobs([job]);
    const [asked, ...more] = proxy.requests("CreateSession");
    expect(CreateSessionRequest.decode(asked ?? Buffer.alloc(0)).session?.multiplexed).toBe(true);
    expect(more).toEqual([]);
  });

  it("a commit brings the newest token that its transaction was given", async () => {
    proxy.befall("StreamingRead", { kind: "amend", fields: PartialResultSet.encode(token(7)).finish() });
    proxy.befall("StreamingRead", { kind: "amend", fields: PartialResultSet.encode(token(3)).finish() }, 9);
    await store.insertJobs([newJob()]);
    const commit = CommitRequest.decode(proxy.requests("Commit").at(-1) ?? Buffer.alloc(0));
    expect(commit.precommitToken?.seqNum).toBe(7);
    expect(String(commit.precommitToken?.precommitToken)).toBe("token 7");
  });

  it("a commit that is answered with a token has not happened yet, and is sent again with it", async () => {
    proxy.befall("Commit", { kind: "amend", fields: CommitResponse.encode(token(9)).finish() });
    const job = newJob();
    expect(await store.insertJobs([job])).toMatchObject([{ kind: "inserted" }]);
    const tokens = proxy
      .requests("Commit")
      .map((each) => CommitRequest.decode(each).precommitToken?.seqNum ?? undefined);
    expect(tokens).toEqual([undefined, 9]);
  });

  it("a transaction that comes again after an abort names the one before, which lets it go first", async () => {
    proxy.befall("Commit", { kind: "refuse", code: ABORTED });
    await store.insertJobs([newJob()]);
    const begun = proxy
      .requests("StreamingRead")
      .map((each) => StreamingRead.decode(each).transaction?.begin?.readWrite)
      .filter((readWrite) => readWrite !== undefined && readWrite !== null)
      .map((readWrite) => readWrite.multiplexedSessionPreviousTransactionId?.length ?? 0);
    expect(begun).toEqual([0, expect.any(Number)]);
    expect(begun[1]).toBeGreaterThan(0);
  });
});
