import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createJobId } from "#pkg/job/index.ts";
import { PATIENCE_MS } from "#test/support/node-process.ts";
import { type Begin, clientOf, type Harness, SERVICE, startHarness, TENANT } from "./harness.ts";

const OK = { image_uri: "alpine", entrypoint: "/bin/true" };
const iso = (ms: number) => timestampDate(timestampFromMs(ms)).toISOString();
const isoIn = (ms: number) => iso(systemClock.nowMs() + ms);
const ref = (jobId: string) => ({ tenantId: "test-tenant", jobId });

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness({ begin: async (job) => job });
});
afterAll(() => harness[Symbol.asyncDispose]());

describe("SubmitJob", () => {
  it("answers exactly like the example of the reference", async () => {
    const { text } = await harness.post(
      "SubmitJob",
      '{"image_uri":"gcr.io/p/app:latest","entrypoint":"/bin/sh","commands":["-c","echo hello"],"env_vars":{"KEY":"value"}}',
    );
    expect(text).toMatch(
      /^\{"job_id":"[0-9a-f-]{36}", ?"status":"PENDING", ?"worker_assigned":"worker-1"\}$/,
    );
  });

  it("commits what GetJob then tells, secrets left out, defaults filled in", async () => {
    const before = systemClock.nowMs();
    const { body } = await harness.post("SubmitJob", {
      ...OK,
      commands: ["a", "b"],
      env_vars: { B: "secret", A: "secret" },
      name: "n",
      labels: { k: "v" },
      resource_override: { cpu_millis: 500 },
      max_retries: 3,
    });
    const { job } = (await harness.post("GetJob", { job_id: body.job_id })).body;
    expect(job).toMatchObject({
      job_id: body.job_id,
      tenant_id: "test-tenant",
      kind: "container",
      status: "PENDING",
      attempt: 1,
      owner: "worker-1",
      image_uri: "alpine",
      env_names: ["A", "B"],
      commands: ["a", "b"],
      resource_profile: "medium",
      resource_override: { cpu_millis: 500 },
      max_retries: 3,
      priority: 5,
      labels: { k: "v" },
      target: harness.target,
    });
    expect(job.events).toHaveLength(1);
    expect(job.events[0]).toMatchObject({
      seq: 1,
      type: "SUBMITTED",
      to: "PENDING",
      actor: "worker-1",
      term: 1,
    });
    expect(job.created_at >= iso(before)).toBe(true);
  });

  it("the same Idempotency-Key a hundred times at once makes one job", async () => {
    const key = { "Idempotency-Key": "hundred" };
    const answers = await Promise.all(
      Array.from({ length: 100 }, () =>
        harness.post("SubmitJob", { ...OK, labels: { run: "hundred" } }, key),
      ),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(new Set(answers.map(({ body }) => body.job_id)).size).toBe(1);
    expect((await harness.post("ListJobs", { labels: { run: "hundred" } })).body.jobs).toHaveLength(1);
  });

  it("the same key a hundred times at once at two workers makes one job", async () => {
    const folder = await mkdtemp(join(tmpdir(), "jennah-two-"));
    const dbPath = join(folder, "two.db");
    const workers = [
      await startHarness({ dbPath, workerId: "worker-1" }),
      await startHarness({ dbPath, workerId: "worker-2" }),
    ];
    const key = { "Idempotency-Key": "both" };
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => workers.map((worker) => worker.post("SubmitJob", OK, key))).flat(),
    );
    expect(new Set(answers.map(({ body }) => body.job_id)).size).toBe(1);
    for (const worker of workers) {
      expect((await worker.post("ListJobs", {})).body.jobs).toHaveLength(1);
      await worker[Symbol.asyncDispose]();
    }
    await rm(folder, { recursive: true });
  });

  it("a repeat is the same request in whatever order and encoding its fields came", async () => {
    const headers = { ...TENANT, "Idempotency-Key": "orders" };
    const first = await harness.post("SubmitJob", { ...OK, env_vars: { A: "1", B: "2" } }, headers);
    const again = await clientOf(harness.grpc).submitJob(
      { entrypoint: "/bin/true", envVars: { B: "2", A: "1" }, imageUri: "alpine" },
      { headers },
    );
    expect(again.jobId).toBe(first.body.job_id);
    // The default, set by hand, is a field that the first call did not set.
    const other = await harness.post(
      "SubmitJob",
      { ...OK, env_vars: { A: "1", B: "2" }, priority: 5 },
      headers,
    );
    expect(other.body.code).toBe("already_exists");
  });

  it("a key belongs to its tenant", async () => {
    const key = { "Idempotency-Key": "shared" };
    const mine = await harness.post("SubmitJob", OK, key);
    const theirs = await harness.post("SubmitJob", OK, { ...key, "X-Tenant-Id": "other" });
    expect(theirs.body.job_id).not.toBe(mine.body.job_id);
  });

  it("a key whose job was deleted is used up", async () => {
    const key = { "Idempotency-Key": "deleted" };
    const { job_id } = (await harness.post("SubmitJob", OK, key)).body;
    await harness.finish(ref(job_id), "FAILED");
    await harness.post("DeleteJob", { job_id });
    expect((await harness.post("SubmitJob", OK, key)).body.code).toBe("already_exists");
  });

  it("a second call with the gateway's id answers the first job, and only for the same request", async () => {
    const id = createJobId(systemClock, systemEntropy);
    const headers = { "X-Jennah-Job-Id": id };
    const first = await harness.post("SubmitJob", OK, headers);
    const again = await harness.post("SubmitJob", OK, headers);
    expect([first.body.job_id, again.body.job_id]).toEqual([id, id]);
    expect((await harness.post("SubmitJob", { ...OK, name: "other" }, headers)).body.code).toBe(
      "already_exists",
    );
  });

  it("validate_only checks and makes nothing, and uses no key up", async () => {
    const headers = { "Idempotency-Key": "validate", "X-Tenant-Id": "validator" };
    expect((await harness.post("SubmitJob", { ...OK, validate_only: true }, headers)).body).toEqual({});
    const bad = await harness.post("SubmitJob", { ...OK, max_retries: 99, validate_only: true }, headers);
    expect(bad.body.code).toBe("invalid_argument");
    expect((await harness.post("ListJobs", {}, headers)).body).toEqual({});
    expect((await harness.post("SubmitJob", OK, headers)).status).toBe(200);
  });

  it("a target that nobody serves waits with NO_WORKER, and has no owner", async () => {
    const { body } = await harness.post("SubmitJob", { ...OK, target: "gcp/p/europe-west1" });
    expect(body).toMatchObject({ status: "PENDING" });
    expect(body.worker_assigned).toBeUndefined();
    const { job } = (await harness.post("GetJob", { job_id: body.job_id })).body;
    expect(job).toMatchObject({ target: "gcp/p/europe-west1", wait_reason: "NO_WORKER" });
    expect(job.owner).toBeUndefined();
  });

  it("what only the target's provider refuses is not refused for another's target", async () => {
    const elsewhere = { image_uri: "alpine", target: "gcp/p/europe-west1" };
    expect((await harness.post("SubmitJob", elsewhere)).status).toBe(200);
    expect((await harness.post("SubmitJob", { image_uri: "alpine" })).body.code).toBe("invalid_argument");
  });

  it("not_before in the future: nobody's until then; in the past: at once", async () => {
    const later = await harness.post("SubmitJob", { ...OK, not_before: isoIn(3_600_000) });
    expect(later.body.worker_assigned).toBeUndefined();
    const [row] = await harness.store.getJobs([ref(later.body.job_id)]);
    expect(row?.dueAtMs).toBe(row?.spec.notBeforeMs);
    expect(row?.waitReason).toBeUndefined();
    const past = await harness.post("SubmitJob", { ...OK, not_before: isoIn(-3_600_000) });
    expect(past.body.worker_assigned).toBe("worker-1");
  });

  it.each([
    ["without a term", { withoutTerm: true }],
    ["that is full", { env: { WORKER_MAX_ACTIVE_JOBS: "2" }, activeJobs: 2 }],
  ])("a worker %s commits without owning", async (_, options) => {
    await using idle = await startHarness(options);
    const answer = await idle.post("SubmitJob", OK);
    expect(answer.body.worker_assigned).toBeUndefined();
    const { job } = (await idle.post("GetJob", { job_id: answer.body.job_id })).body;
    expect(job).toMatchObject({ status: "PENDING", target: idle.target });
    expect(job.wait_reason).toBe("UNCLAIMED");
  });

  it("a worker with one place left takes the job", async () => {
    await using busy = await startHarness({ env: { WORKER_MAX_ACTIVE_JOBS: "2" }, activeJobs: 1 });
    expect((await busy.post("SubmitJob", OK)).body.worker_assigned).toBe("worker-1");
  });

  it("waits for the cloud's answer no longer than wait_seconds, and then says PENDING", async () => {
    await using slow = await startHarness({ begin: untilAborted, env: { SUBMIT_WAIT_SECONDS: "600" } });
    const startedMs = systemClock.monotonicMs();
    const answer = await slow.post("SubmitJob", { ...OK, wait_seconds: 1 });
    expect(answer.body.status).toBe("PENDING");
    const tookMs = systemClock.monotonicMs() - startedMs;
    expect(tookMs).toBeGreaterThan(900);
    expect(tookMs).toBeLessThan(PATIENCE_MS);
  });

  it("wait_seconds 0 answers at once, and the work has begun all the same", async () => {
    let begun = 0;
    await using slow = await startHarness({
      begin: (job, signal) => {
        begun++;
        return untilAborted(job, signal);
      },
    });
    expect((await slow.post("SubmitJob", { ...OK, wait_seconds: 0 })).body.status).toBe("PENDING");
    expect(begun).toBe(1);
  });

  it("answers what begin came to", async () => {
    await using quick = await startHarness({ begin: async (job) => ({ ...job, status: "RUNNING" }) });
    expect((await quick.post("SubmitJob", OK)).body.status).toBe("RUNNING");
  });

  it("a begin that throws costs nobody the job's id", async () => {
    await using broken = await startHarness({ begin: () => Promise.reject(new Error("boom")) });
    const answer = await broken.post("SubmitJob", OK);
    expect(answer.body.status).toBe("PENDING");
    expect(broken.logs.join()).toContain("worker failed to process job");
  });

  it("hanging up cancels nothing", async () => {
    const seen = Promise.withResolvers<void>();
    await using slow = await startHarness({
      begin: (job, signal) => {
        seen.resolve();
        return untilAborted(job, signal);
      },
    });
    const hangUp = new AbortController();
    const call = fetch(`${slow.url}${SERVICE}/SubmitJob`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...TENANT },
      body: JSON.stringify(OK),
      signal: hangUp.signal,
    });
    await seen.promise;
    hangUp.abort();
    await expect(call).rejects.toThrow();
    const { jobs } = (await slow.post("ListJobs", {})).body;
    expect(jobs).toHaveLength(1);
    expect(jobs[0]).toMatchObject({ status: "PENDING" });
    expect(jobs[0].cancel_requested_at).toBeUndefined();
  });

  it("a drain answers PENDING to whoever waits, fails none, and ends the term last", async () => {
    const begun = Promise.withResolvers<void>();
    let count = 0;
    const slow = await startHarness({
      begin: (job, signal) => {
        if (++count === 10) begun.resolve();
        return untilAborted(job, signal);
      },
    });
    const waiting = Array.from({ length: 10 }, () => slow.post("SubmitJob", { ...OK, wait_seconds: 600 }));
    await begun.promise;
    await slow.worker.drain(AbortSignal.timeout(PATIENCE_MS));
    for (const { status, body } of await Promise.all(waiting)) {
      expect([status, body.status, body.worker_assigned]).toEqual([200, "PENDING", "worker-1"]);
    }
    const [row] = await slow.store.readWorkers();
    expect(row?.over).toBe(true);
    await slow[Symbol.asyncDispose]();
  });
});

const untilAborted: Begin = (job, signal) =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(job);
    signal.addEventListener("abort", () => resolve(job), { once: true });
  });
