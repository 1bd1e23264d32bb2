import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { StartupError } from "#pkg/errors/index.ts";
import { type Harness, SERVICE, startHarness, TENANT } from "./harness.ts";

const MARKER = "marker-7f3c9b-should-never-show";
const key = (fill: number) => Buffer.alloc(32, fill).toString("base64");
const job = { image_uri: "alpine", entrypoint: "/bin/true", env_vars: { TOKEN: MARKER } };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-secrets-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function filesWithMarker(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await readdir(folder)) {
    if ((await readFile(join(folder, name))).includes(MARKER)) found.push(name);
  }
  return found;
}

describe("the values of env_vars", () => {
  it("show in no answer, no log line, no metric and no file, whatever becomes of the call", async () => {
    const answers: string[] = [];
    const harness = await startHarness({ dbPath: join(folder, "shown.db") });
    const post = async (method: string, body: unknown, headers: Record<string, string> = {}) => {
      const { text, body: parsed } = await harness.post(method, body, headers);
      answers.push(text);
      return parsed;
    };
    const { job_id } = await post("SubmitJob", job, { "Idempotency-Key": "k" });
    await post("SubmitJob", job, { "Idempotency-Key": "k" });
    await post("GetJob", { job_id });
    await post("ListJobs", {});
    await post("CancelJob", { job_id });
    await harness.finish({ tenantId: "test-tenant", jobId: job_id }, "FAILED");
    await post("RetryJob", { job_id });
    // Refusals of every kind.
    await post("SubmitJob", { ...job, max_retries: 99 });
    await post("SubmitJob", { ...job, env_vars: { "bad-name": MARKER, NUL: `${MARKER}\0` } });
    await post("SubmitJob", { ...job, env_vars: { BIG: MARKER.repeat(2000) } });
    await post("SubmitJob", job, { "X-Tenant-Id": "" });
    await post("SubmitJob", { ...job, name: "other" }, { "Idempotency-Key": "k" });
    answers.push(await (await fetch(`${harness.url}/metrics`)).text());
    expect(await filesWithMarker()).toEqual([]);
    await harness.store.stop();
    await post("SubmitJob", job);
    await harness[Symbol.asyncDispose]();
    expect(answers.filter((text) => text.includes(MARKER))).toEqual([]);
    expect(harness.logs.filter((line) => line.includes(MARKER))).toEqual([]);
    expect(harness.logs.join()).toContain(job_id);
    expect(await filesWithMarker()).toEqual([]);
  });

  it("a parser's words, which quote the body, go to the caller and to no log", async () => {
    await using harness = await startHarness();
    const malformed = `{"image_uri":"alpine","env_vars":{"TOKEN":"x"},${MARKER}}`;
    expect((await harness.post("SubmitJob", malformed)).body.code).toBe("invalid_argument");
    expect((await harness.post("SubmitJob", { ...job, [MARKER]: 1 })).text).toContain(MARKER);
    expect((await harness.post("SubmitJob", { ...job, priority: MARKER })).body.code).toBe(
      "invalid_argument",
    );
    const response = await fetch(`${harness.url}${SERVICE}/SubmitJob`, {
      method: "POST",
      headers: { "Content-Type": "application/proto", ...TENANT },
      body: Buffer.concat([Buffer.of(10, 250), Buffer.from(MARKER)]),
    });
    expect(response.status).toBe(500);
    expect(harness.logs.filter((line) => line.includes(MARKER))).toEqual([]);
  });
});

describe("a change of SECRETS_KEY", () => {
  const dbPath = () => join(folder, "rotated.db");
  const withKeys = (...fills: number[]): Promise<Harness> =>
    startHarness({
      dbPath: dbPath(),
      workerId: `worker-${fills.join("-")}`,
      env: { SECRETS_KEY: fills.map(key).join() },
    });

  it("opens what was sealed before, knows repeats from before, and refuses a worker without the key", async () => {
    const headers = { "Idempotency-Key": "across" };
    const before = await withKeys(1);
    const { job_id } = (await before.post("SubmitJob", job, headers)).body;
    await before.finish({ tenantId: "test-tenant", jobId: job_id }, "FAILED");
    await before[Symbol.asyncDispose]();

    const after = await withKeys(2, 1);
    expect((await after.post("SubmitJob", job, headers)).body.job_id).toBe(job_id);
    const other = await after.post("SubmitJob", { ...job, name: "other" }, headers);
    expect(other.body.code).toBe("already_exists");
    const retried = await after.post("RetryJob", { job_id });
    const rows = await after.store.getJobs([{ tenantId: "test-tenant", jobId: retried.body.job_id }]);
    const [old] = await after.store.getJobs([{ tenantId: "test-tenant", jobId: job_id }]);
    expect(rows[0]?.sealingKeyId).toBeDefined();
    expect(rows[0]?.sealingKeyId).not.toBe(old?.sealingKeyId);
    await after[Symbol.asyncDispose]();

    const failure = await withKeys(1).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(StartupError);
    expect(failure).toMatchObject({ exitCode: 78 });
    expect(String(failure)).toContain(rows[0]?.sealingKeyId);
  });

  it("without one the deployment has a data key of its own, the same at each start", async () => {
    const options = { dbPath: join(folder, "own.db") };
    const first = await startHarness(options);
    const { job_id } = (await first.post("SubmitJob", job)).body;
    await first.finish({ tenantId: "test-tenant", jobId: job_id }, "FAILED");
    await first[Symbol.asyncDispose]();
    await using second = await startHarness({ ...options, workerId: "worker-2" });
    expect((await second.post("RetryJob", { job_id })).status).toBe(200);
  });
});
