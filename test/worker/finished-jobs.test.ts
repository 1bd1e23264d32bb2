import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { type Harness, startHarness } from "./harness.ts";

const OK = { image_uri: "alpine", entrypoint: "/bin/true" };
const ref = (jobId: string) => ({ tenantId: "test-tenant", jobId });

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness[Symbol.asyncDispose]());

describe("CancelJob", () => {
  it("leaves a request, tells the owner, and may be repeated", async () => {
    const { job_id } = (await harness.post("SubmitJob", OK)).body;
    for (let i = 0; i < 2; i++) {
      expect((await harness.post("CancelJob", { job_id })).body).toEqual({ job_id, status: "PENDING" });
    }
    expect(harness.requested.filter((job) => job.jobId === job_id)).toHaveLength(2);
    const { job } = (await harness.post("GetJob", { job_id })).body;
    expect(job.cancel_requested_at).toBeDefined();
    expect(job.events.map((event: { type: string }) => event.type)).toEqual([
      "SUBMITTED",
      "CANCEL_REQUESTED",
    ]);
    await harness.finish(ref(job_id), "CANCELLED");
    expect((await harness.post("CancelJob", { job_id })).body).toEqual({ job_id, status: "CANCELLED" });
  });
});

describe("DeleteJob", () => {
  it("hides the job at once from every RPC, and may be repeated, also after the row is gone", async () => {
    const tenant = { "X-Tenant-Id": "deleter" };
    const theirs = (jobId: string) => ({ tenantId: "deleter", jobId });
    const { job_id } = (await harness.post("SubmitJob", OK, tenant)).body;
    await harness.finish(theirs(job_id), "FAILED");
    for (let i = 0; i < 2; i++)
      expect((await harness.post("DeleteJob", { job_id }, tenant)).body).toEqual({ job_id });
    for (const method of ["GetJob", "CancelJob", "RetryJob"]) {
      expect((await harness.post(method, { job_id }, tenant)).body.code).toBe("not_found");
    }
    expect((await harness.post("ListJobs", {}, tenant)).body).toEqual({});

    const [row] = await harness.store.getJobs([theirs(job_id)]);
    if (row?.owner === undefined) throw new Error("no owner");
    const atMs = systemClock.nowMs();
    const deletion = { ...theirs(job_id), version: row.version, owner: row.owner, atMs };
    const untilMs = atMs + 60_000;
    await harness.store.deleteJob({ ...deletion, tombstoneUntilMs: untilMs, keyUntilMs: untilMs });
    expect((await harness.post("DeleteJob", { job_id }, tenant)).body).toEqual({ job_id });
    expect((await harness.post("DeleteJob", { job_id })).body.code).toBe("not_found");
  });
});

describe("RetryJob", () => {
  it("makes a new job of the old one's spec and secrets, and leaves the old one as it is", async () => {
    const old = (await harness.post("SubmitJob", { ...OK, env_vars: { A: "again" }, labels: { a: "b" } }))
      .body.job_id;
    await harness.finish(ref(old), "FAILED");
    const { body } = await harness.post("RetryJob", { job_id: old });
    expect(body).toMatchObject({ status: "PENDING", worker_assigned: "worker-1" });
    const { job } = (await harness.post("GetJob", { job_id: body.job_id })).body;
    expect(job).toMatchObject({ retry_of: old, env_names: ["A"], labels: { a: "b" }, attempt: 1 });
    const rows = await harness.store.getJobs([ref(old), ref(body.job_id)]);
    const [one, two] = rows.map(({ sealedEnv }) => Buffer.from(sealedEnv ?? []).toString("hex"));
    expect(one).not.toBe(two);
    expect((await harness.post("GetJob", { job_id: old })).body.job.status).toBe("FAILED");
  });

  it("has repeats of its own", async () => {
    const old = (await harness.post("SubmitJob", OK)).body.job_id;
    await harness.finish(ref(old), "CANCELLED");
    const key = { "Idempotency-Key": "retry-once" };
    const first = await harness.post("RetryJob", { job_id: old }, key);
    const again = await harness.post("RetryJob", { job_id: old }, key);
    expect(again.body.job_id).toBe(first.body.job_id);
    const submit = await harness.post("SubmitJob", OK, key);
    expect(submit.body.code).toBe("already_exists");
  });

  it("a repeat is answered with the first job, also when the old one is deleted by now", async () => {
    const old = (await harness.post("SubmitJob", OK)).body.job_id;
    await harness.finish(ref(old), "FAILED");
    const key = { "Idempotency-Key": "retry-and-delete" };
    const first = await harness.post("RetryJob", { job_id: old }, key);
    await harness.post("DeleteJob", { job_id: old });
    const again = await harness.post("RetryJob", { job_id: old }, key);
    expect(again.body.job_id).toBe(first.body.job_id);
    const waiting = await harness.post("RetryJob", { job_id: old, wait_seconds: 1 }, key);
    expect(waiting.body.code).toBe("already_exists");
    const unkeyed = await harness.post("RetryJob", { job_id: old });
    expect(unkeyed.body.code).toBe("not_found");
    const another = await harness.post("RetryJob", { job_id: old }, { "Idempotency-Key": "free" });
    expect(another.body.code).toBe("not_found");
  });

  it("is held to what is allowed now", async () => {
    const elsewhere = { ...OK, target: "gcp/p/europe-west1", service_account: "allowed@example.com" };
    const { job_id } = (await harness.post("SubmitJob", elsewhere)).body;
    const [row] = await harness.store.getJobs([ref(job_id)]);
    if (row === undefined) throw new Error("no row");
    await using stricter = await startHarness({ env: { ALLOWED_SERVICE_ACCOUNTS: "others@example.com" } });
    await stricter.store.insertJobs([{ ...row, status: "FAILED" }]);
    expect((await stricter.post("RetryJob", { job_id })).body.code).toBe("permission_denied");
  });
});
