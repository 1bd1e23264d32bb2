/**
 * One table over two encodings: longer than most files, because each row must stand beside its twin.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SubmitJobRequestSchema } from "#gen/jennah/v1/deployment_service_pb.js";
import { errorDetails } from "#pkg/rpc/index.ts";
import { whileLocked } from "#test/support/freeze.ts";
import { answerOf, clientOf, type Harness, SERVICE, startHarness, TENANT } from "./harness.ts";

const UNKNOWN_ID = "0197aaaa-0000-7000-8000-000000000001";
const OK = { image_uri: "alpine", entrypoint: "/bin/true" };

type Submit = MessageInitShape<typeof SubmitJobRequestSchema>;

/** One bad submit, in JSON and in the generated client's words. */
interface Row {
  readonly name: string;
  readonly json: object;
  readonly grpc: Submit;
  readonly headers?: Record<string, string>;
  readonly code: Code;
  readonly field?: string;
  readonly reason?: string;
}

const rows: readonly Row[] = [
  bad("a missing image", { image_uri: "" }, { imageUri: "" }, "image_uri"),
  bad("a malformed image reference", { image_uri: "UPPER case" }, { imageUri: "UPPER case" }, "image_uri"),
  bad("an unknown profile", { resource_profile: "huge" }, { resourceProfile: "huge" }, "resource_profile"),
  bad("a number out of range", { max_retries: 11 }, { maxRetries: 11 }, "max_retries"),
  bad("a negative wait", { wait_seconds: -1 }, { waitSeconds: -1 }, "wait_seconds"),
  bad(
    "a nested number out of range",
    { resource_override: { cpu_millis: 0 } },
    { resourceOverride: { cpuMillis: 0 } },
    "resource_override.cpu_millis",
  ),
  bad("a name over 63", { name: "x".repeat(64) }, { name: "x".repeat(64) }, "name"),
  bad("an env name that is none", { env_vars: { "a-b": "" } }, { envVars: { "a-b": "" } }, "env_vars"),
  bad("over 256 env vars", { env_vars: envOf(257) }, { envVars: envOf(257) }, "env_vars"),
  bad(
    "over 32 KiB of env vars",
    { env_vars: { A: "x".repeat(32 * 1024) } },
    { envVars: { A: "x".repeat(32 * 1024) } },
    "env_vars",
  ),
  bad("NUL in a string", { commands: ["a\0b"] }, { commands: ["a\0b"] }, "commands[0]"),
  bad("a malformed target", { target: "mars/x" }, { target: "mars/x" }, "target"),
  bad("what the provider cannot honour", { entrypoint: "" }, { entrypoint: "" }, "entrypoint"),
  {
    ...bad("a malformed Idempotency-Key", {}, {}, "Idempotency-Key"),
    headers: { "Idempotency-Key": "x".repeat(129) },
  },
  {
    ...bad("a malformed X-Jennah-Job-Id", {}, {}, "X-Jennah-Job-Id"),
    headers: { "X-Jennah-Job-Id": "not-an-id" },
  },
  {
    name: "a service account that is not allowed",
    json: { ...OK, service_account: "other@example.com" },
    grpc: { imageUri: "alpine", entrypoint: "/bin/true", serviceAccount: "other@example.com" },
    code: Code.PermissionDenied,
    reason: "SERVICE_ACCOUNT_NOT_ALLOWED",
  },
  {
    ...bad("a tenant id that is none", {}, {}, "X-Tenant-Id"),
    headers: { "X-Tenant-Id": ".hidden" },
  },
  {
    ...bad("no X-Tenant-Id", {}, {}),
    headers: { "X-Tenant-Id": "" },
    code: Code.Unauthenticated,
    reason: "TENANT_REQUIRED",
  },
];

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness[Symbol.asyncDispose]());

describe("every row of the error table, over JSON", () => {
  it.each(rows)("$name", async ({ json, headers, code, field, reason }) => {
    const { body } = await harness.post("SubmitJob", json, headers);
    expect(body.code).toBe(codeToString(code));
    expectDetails(detailsOfJson(body.details), field, reason);
    if (field !== undefined) expect(body.message).toContain(field);
  });

  it.each([
    ["an unknown field", { ...OK, bogus: 1 }, "invalid_argument"],
    ["an unknown nested field", { ...OK, resource_override: { bogus: 1 } }, "invalid_argument"],
    ["malformed JSON", '{"image_uri":', "invalid_argument"],
    ["JSON of another shape", "[]", "invalid_argument"],
    ["no JSON at all", "", "invalid_argument"],
    ["a body over MAX_REQUEST_BYTES", { ...OK, name: "x".repeat(2 * 1024 * 1024) }, "resource_exhausted"],
  ])("%s", async (_, body, code) => {
    expect((await harness.post("SubmitJob", body)).body.code).toBe(code);
  });

  it("bytes that are not UTF-8 are not replaced in silence", async () => {
    const submit = async (name: Uint8Array) => {
      const json = JSON.stringify({ ...OK, name: "?" }).split("?");
      const body = Buffer.concat([Buffer.from(json[0] ?? ""), name, Buffer.from(json[1] ?? "")]);
      const headers = { "Content-Type": "application/json", ...TENANT };
      return answerOf(await fetch(`${harness.url}${SERVICE}/SubmitJob`, { method: "POST", headers, body }));
    };
    expect((await submit(Buffer.from("ü"))).status).toBe(200);
    expect((await submit(Buffer.of(0xff))).body.code).toBe("invalid_argument");
  });

  it.each(["GetJob", "CancelJob", "DeleteJob", "RetryJob"])("%s of an unknown job", async (method) => {
    for (const job_id of [UNKNOWN_ID, "no-uuid", "x".repeat(1000)]) {
      const { status, body } = await harness.post(method, { job_id });
      expect([status, body.code, body.message]).toEqual([404, "not_found", "there is no such job"]);
    }
    for (const job_id of ["", "\0"]) {
      expect((await harness.post(method, { job_id })).body.code).toBe("invalid_argument");
    }
  });

  it("another tenant's job answers exactly like one that never existed", async () => {
    const { job_id } = (await harness.post("SubmitJob", OK)).body;
    for (const method of ["GetJob", "CancelJob", "DeleteJob", "RetryJob"]) {
      const theirs = await harness.post(
        method,
        { job_id },
        { "X-Tenant-Id": "other", "X-Request-Id": "same" },
      );
      const none = await harness.post(
        method,
        { job_id: UNKNOWN_ID },
        { "X-Tenant-Id": "other", "X-Request-Id": "same" },
      );
      expect(theirs.text).toBe(none.text);
      expect(theirs.status).toBe(none.status);
    }
    expect((await harness.post("GetJob", { job_id })).body.job.cancel_requested_at).toBeUndefined();
  });

  it("the state forbids it", async () => {
    const { job_id } = (await harness.post("SubmitJob", OK)).body;
    for (const method of ["DeleteJob", "RetryJob"]) {
      expect((await harness.post(method, { job_id })).body.code).toBe("failed_precondition");
    }
    await harness.finish({ tenantId: "test-tenant", jobId: job_id }, "FAILED");
    expect((await harness.post("CancelJob", { job_id })).body.code).toBe("failed_precondition");
  });

  it("the same Idempotency-Key for a different request", async () => {
    const key = { "Idempotency-Key": "once" };
    const first = await harness.post("SubmitJob", { ...OK, name: "a" }, key);
    const other = await harness.post("SubmitJob", { ...OK, name: "b" }, key);
    expect(other.body.code).toBe("already_exists");
    // A retry is a different request, whatever it says.
    await harness.finish({ tenantId: "test-tenant", jobId: first.body.job_id }, "FAILED");
    const retry = await harness.post("RetryJob", { job_id: first.body.job_id }, key);
    expect(retry.body.code).toBe("already_exists");
  });

  it.each(["/jennah.v1.DeploymentService/Nothing", "/other.v1.Service/Do"])(
    "the unknown RPC %s",
    async (path) => {
      const headers = { "Content-Type": "application/json" };
      const response = await fetch(`${harness.url}${path}`, { method: "POST", headers, body: "{}" });
      const answer = await answerOf(response);
      expect([answer.status, answer.body.code]).toEqual([501, "unimplemented"]);
    },
  );

  it("the caller's deadline", async () => {
    await using slow = await startHarness({ begin: untilAborted });
    const answer = await slow.post(
      "SubmitJob",
      { ...OK, wait_seconds: 30 },
      { "Connect-Timeout-Ms": "2000" },
    );
    expect([answer.status, answer.body.code]).toEqual([504, "deadline_exceeded"]);
    // What was committed stays committed.
    expect((await slow.post("ListJobs", {})).body.jobs).toHaveLength(1);
  });

  it("the caller's deadline, while another process holds the store", async () => {
    const folder = await mkdtemp(join(tmpdir(), "jennah-locked-"));
    const dbPath = join(folder, "locked.db");
    const locked = await startHarness({ dbPath });
    await whileLocked(dbPath, async () => {
      const answer = await locked.post("SubmitJob", OK, { "Connect-Timeout-Ms": "2000" });
      expect(answer.body.code).toBe("deadline_exceeded");
    });
    // The write went on without its caller, and the worker with it.
    expect((await locked.post("SubmitJob", OK)).status).toBe(200);
    expect((await locked.post("ListJobs", {})).body.jobs).toHaveLength(2);
    await locked[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  it("the store down", async () => {
    await using down = await startHarness();
    await down.store.stop();
    const answer = await down.post("SubmitJob", OK);
    expect([answer.status, answer.body.code]).toEqual([503, "unavailable"]);
    expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(detailsOfJson(answer.body.details).has("google.rpc.RetryInfo")).toBe(true);
  });

  it("anything unforeseen is one opaque sentence with the request id, and the cause stands in the log alone", async () => {
    await using broken = await startHarness();
    const job_id = await insertUnopenable(broken);
    const answer = await broken.post(
      "RetryJob",
      { job_id },
      { "X-Tenant-Id": "other", "X-Request-Id": "req-77" },
    );
    expect(answer.body).toEqual({
      code: "internal",
      message: "internal error; the log tells more under the request id req-77",
    });
    const lines = broken.logs.filter((line) => line.includes("req-77"));
    expect(lines.join()).toContain("0000000000000000");
  });
});

describe("every row of the error table, over gRPC", () => {
  it.each(rows)("$name", async ({ grpc, headers, code, field, reason }) => {
    const client = clientOf(harness.grpc);
    const error = await failureOf(client.submitJob(grpc, { headers: { ...TENANT, ...headers } }));
    expect(codeToString(error.code)).toBe(codeToString(code));
    expectDetails(detailsOfError(error), field, reason);
  });

  it("a thousand violations are told in few enough bytes for a trailer", async () => {
    const client = clientOf(harness.grpc);
    const bad = { imageUri: "a", entrypoint: "b", commands: Array<string>(1000).fill("\0") };
    const error = await failureOf(client.submitJob(bad, { headers: TENANT }));
    expect(error.code).toBe(Code.InvalidArgument);
    expect(error.rawMessage).toContain("and 984 more");
    const trailer = String(error.metadata.get("grpc-status-details-bin")).length;
    expect(trailer + encodeURIComponent(error.rawMessage).length).toBeLessThan(8192);
  });

  it("an unknown job", async () => {
    const client = clientOf(harness.grpc);
    for (const call of [client.getJob, client.cancelJob, client.deleteJob, client.retryJob]) {
      const error = await failureOf(call({ jobId: UNKNOWN_ID }, { headers: TENANT }));
      expect(error.code).toBe(Code.NotFound);
    }
  });

  it("another tenant's job answers exactly like one that never existed", async () => {
    const client = clientOf(harness.grpc);
    const { jobId } = await client.submitJob({ imageUri: "a", entrypoint: "b" }, { headers: TENANT });
    const headers = { "X-Tenant-Id": "other", "X-Request-Id": "same" };
    for (const call of [client.getJob, client.cancelJob, client.deleteJob, client.retryJob]) {
      const theirs = await failureOf(call({ jobId }, { headers }));
      const none = await failureOf(call({ jobId: UNKNOWN_ID }, { headers }));
      expect(theirs.code).toBe(Code.NotFound);
      expect(wordsOf(theirs)).toEqual(wordsOf(none));
    }
    const { job } = await client.getJob({ jobId }, { headers: TENANT });
    expect(job?.cancelRequestedAt).toBeUndefined();
  });

  it("the state forbids it", async () => {
    const client = clientOf(harness.grpc);
    const { jobId } = await client.submitJob({ imageUri: "a", entrypoint: "b" }, { headers: TENANT });
    for (const call of [client.deleteJob, client.retryJob]) {
      expect((await failureOf(call({ jobId }, { headers: TENANT }))).code).toBe(Code.FailedPrecondition);
    }
    await harness.finish({ tenantId: "test-tenant", jobId }, "FAILED");
    expect((await failureOf(client.cancelJob({ jobId }, { headers: TENANT }))).code).toBe(
      Code.FailedPrecondition,
    );
  });

  it("the same Idempotency-Key for a different request", async () => {
    const client = clientOf(harness.grpc);
    const headers = { ...TENANT, "Idempotency-Key": "grpc-once" };
    await client.submitJob({ imageUri: "a", entrypoint: "b" }, { headers });
    const error = await failureOf(client.submitJob({ imageUri: "a", entrypoint: "c" }, { headers }));
    expect(error.code).toBe(Code.AlreadyExists);
  });

  it.each([
    ["an unknown field", Buffer.concat([okBytes(), Buffer.of(0x92, 0x03, 1, 65)]), Code.InvalidArgument],
    [
      "an unknown nested field",
      Buffer.concat([okBytes(), Buffer.of(0x3a, 4, 0x92, 0x03, 1, 65)]),
      Code.InvalidArgument,
    ],
    ["malformed binary", Buffer.of(10, 200, 1), Code.Internal],
    ["a message over MAX_REQUEST_BYTES", Buffer.alloc(2 * 1024 * 1024), Code.ResourceExhausted],
  ])("%s", async (_, message, code) => {
    expect((await rawGrpc(`${SERVICE}/SubmitJob`, message, TENANT))["grpc-status"]).toBe(String(code));
  });

  it("an unknown RPC", async () => {
    const trailers = await rawGrpc(`${SERVICE}/Nothing`, okBytes(), TENANT);
    expect(trailers["grpc-status"]).toBe(String(Code.Unimplemented));
  });

  it("the caller's deadline", async () => {
    await using slow = await startHarness({ begin: untilAborted });
    const trailers = await rawGrpc(
      `${SERVICE}/SubmitJob`,
      okBytes(),
      { ...TENANT, "grpc-timeout": "200m" },
      slow.url,
    );
    expect(trailers["grpc-status"]).toBe(String(Code.DeadlineExceeded));
  });

  it("the store down", async () => {
    await using down = await startHarness();
    await down.store.stop();
    const error = await failureOf(
      clientOf(down.grpc).submitJob({ imageUri: "a", entrypoint: "b" }, { headers: TENANT }),
    );
    expect(error.code).toBe(Code.Unavailable);
    expect(error.metadata.get("retry-after")).toBe("1");
    expect(detailsOfError(error).has("google.rpc.RetryInfo")).toBe(true);
  });

  it("anything unforeseen is one opaque sentence with the request id, and the cause stands in the log alone", async () => {
    await using broken = await startHarness();
    const jobId = await insertUnopenable(broken);
    const headers = { "X-Tenant-Id": "other", "X-Request-Id": "req-78" };
    const error = await failureOf(clientOf(broken.grpc).retryJob({ jobId }, { headers }));
    expect(error.code).toBe(Code.Internal);
    expect(error.rawMessage).toBe("internal error; the log tells more under the request id req-78");
    expect(detailsOfError(error).size).toBe(0);
    expect([...error.metadata].join()).not.toContain("0000000000000000");
    expect(broken.logs.filter((line) => line.includes("req-78")).join()).toContain("0000000000000000");
  });
});

describe("a refused call", () => {
  it("leaves nothing behind", async () => {
    await using fresh = await startHarness();
    for (const { json, headers } of rows) await fresh.post("SubmitJob", json, headers);
    expect((await fresh.post("ListJobs", {})).body).toEqual({});
  });

  it("is counted under its code, whether a handler saw it or not", async () => {
    await using fresh = await startHarness();
    await fresh.post("SubmitJob", "{");
    await fresh.post("SubmitJob", { ...OK, max_retries: 11 });
    await fresh.post("SubmitJob", OK, { "X-Tenant-Id": "" });
    await fresh.post("SubmitJob", OK);
    await fresh.post("Nothing", {});
    const text = await (await fetch(`${fresh.url}/metrics`)).text();
    for (const [rpc, code, count] of [
      ["SubmitJob", "invalid_argument", 2],
      ["SubmitJob", "unauthenticated", 1],
      ["SubmitJob", "ok", 1],
      ["unknown", "unimplemented", 1],
    ]) {
      expect(text).toContain(`jennah_rpc_calls_total{rpc="${rpc}",code="${code}"} ${count}`);
    }
    expect(text).not.toContain("tenant");
  });
});

function bad(name: string, json: object, grpc: Submit, field?: string): Row {
  return {
    name,
    json: { ...OK, ...json },
    grpc: { imageUri: "alpine", entrypoint: "/bin/true", ...grpc } as Submit,
    code: Code.InvalidArgument,
    reason: "INVALID_ARGUMENT",
    ...(field !== undefined && { field }),
  };
}

function envOf(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`V${index}`, ""]));
}

/** A failed job of the tenant `other` whose values no key opens, so that a retry of it fails as nobody foresaw; its id. */
async function insertUnopenable({ post, store, finish }: Harness): Promise<string> {
  const jobId: string = (await post("SubmitJob", { ...OK, env_vars: { A: "x" } })).body.job_id;
  const ref = { tenantId: "test-tenant", jobId };
  const [job] = await store.getJobs([ref]);
  await finish(ref, "FAILED");
  if (job?.sealedEnv === undefined) throw new Error("nothing was sealed");
  await store.insertJobs([{ ...job, tenantId: "other", status: "FAILED", sealingKeyId: "0000000000000000" }]);
  return jobId;
}

function untilAborted<T>(job: T, signal: AbortSignal): Promise<T> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(job);
    signal.addEventListener("abort", () => resolve(job), { once: true });
  });
}

function okBytes(): Buffer {
  const message = create(SubmitJobRequestSchema, {
    imageUri: "alpine",
    entrypoint: "/bin/true",
    waitSeconds: 30,
  });
  return Buffer.from(toBinary(SubmitJobRequestSchema, message));
}

/** The details by type name, each as the JSON that Connect adds for people. */
type Details = ReadonlyMap<string, unknown>;

function detailsOfJson(details: readonly { type: string; debug: unknown }[] = []): Details {
  return new Map(details.map(({ type, debug }) => [type, debug]));
}

function detailsOfError(error: ConnectError): Details {
  return new Map(error.findDetails(errorDetails).map((message) => [message.$typeName, message]));
}

function expectDetails(details: Details, field: string | undefined, reason: string | undefined): void {
  if (field !== undefined)
    expect(JSON.stringify(details.get("google.rpc.BadRequest"))).toContain(`"${field}"`);
  if (reason !== undefined) {
    expect(details.get("google.rpc.ErrorInfo")).toMatchObject({ reason, domain: "jennah" });
  }
}

/** Everything that the caller of a failed call is told, but for when. */
function wordsOf({ code, rawMessage, metadata, details }: ConnectError): object {
  const headers = [...metadata].filter(([name]) => name !== "date");
  return { code, rawMessage, headers, details };
}

async function failureOf(call: Promise<unknown>): Promise<ConnectError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof ConnectError) return error;
    throw error;
  }
  throw new Error("the call did not fail");
}

/** One gRPC call of bytes that no generated client would send; answers what its trailers say. */
async function rawGrpc(
  path: string,
  message: Uint8Array,
  headers: Record<string, string>,
  url = harness.url,
): Promise<Record<string, unknown>> {
  const session = connect(url);
  try {
    return await new Promise((resolve, reject) => {
      session.on("error", reject);
      const stream = session.request({
        ":method": "POST",
        ":path": path,
        "content-type": "application/grpc+proto",
        te: "trailers",
        ...headers,
      });
      stream.on("error", reject);
      stream.on("response", (response) => {
        if (response["grpc-status"] !== undefined) resolve(response);
      });
      stream.on("trailers", resolve);
      stream.resume();
      const prefix = Buffer.alloc(5);
      prefix.writeUInt32BE(message.byteLength, 1);
      stream.end(Buffer.concat([prefix, message]));
    });
  } finally {
    session.destroy();
  }
}
