import { createServer, request as httpRequest } from "node:http";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as http2Connect,
  type IncomingHttpHeaders,
} from "node:http2";
import { type AddressInfo, connect as connectTcp } from "node:net";
import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createSeededEntropy, systemClock } from "#pkg/clock/index.ts";
import { StartupError } from "#pkg/errors/index.ts";
import { createGateway, createRpcTable, type Gateway } from "#pkg/gateway/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import { type Harness, SERVICE, startHarness } from "./harness.ts";

const OK = { image_uri: "alpine", entrypoint: "/bin/true" };

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness[Symbol.asyncDispose]());

async function ready(of: Harness) {
  const response = await fetch(`${of.url}/ready`);
  return [response.status, await response.json()];
}

describe("/health, /ready, /metrics", () => {
  it("a live worker with a term and a store is healthy and ready", async () => {
    const health = await fetch(`${harness.url}/health`);
    expect([health.status, await health.text()]).toEqual([200, "OK\n"]);
    expect(await ready(harness)).toEqual([200, { ready: true }]);
  });

  it("without a term it is not ready, and says so", async () => {
    await using idle = await startHarness({ withoutTerm: true });
    expect(await ready(idle)).toEqual([503, { ready: false, reason: "TERM_NOT_HELD" }]);
  });

  it("without a store it is not ready, says so, and is healthy all the same", async () => {
    await using down = await startHarness();
    await down.store.stop();
    expect(await ready(down)).toEqual([503, { ready: false, reason: "STORE_UNREACHABLE" }]);
    expect((await fetch(`${down.url}/health`)).status).toBe(200);
  });

  it("metrics are Prometheus text, with the worker's own and the process's", async () => {
    const response = await fetch(`${harness.url}/metrics`);
    expect(response.headers.get("content-type")).toContain("text/plain");
    const text = await response.text();
    for (const name of ["jennah_active_jobs", "jennah_term_held 1", "process_cpu_seconds_total"]) {
      expect(text).toContain(name);
    }
  });

  it("nothing else is there", async () => {
    expect((await fetch(`${harness.url}/`)).status).toBe(404);
    expect((await fetch(`${harness.url}/constructor`)).status).toBe(404);
    expect((await fetch(`${harness.url}/ready`, { method: "POST" })).status).toBe(405);
  });
});

describe("X-Request-Id", () => {
  it.each([
    ["GetJob", { job_id: "x" }],
    ["SubmitJob", OK],
    ["SubmitJob", "{"],
  ])("of %s %j is taken, returned, and in the call's log lines", async (method, body) => {
    const id = `req ${method} ${JSON.stringify(body).length}`;
    const answer = await harness.post(method, body, { "X-Request-Id": id });
    expect(answer.headers.get("x-request-id")).toBe(id);
    expect(harness.logs.some((line) => JSON.parse(line).request_id === id)).toBe(true);
  });

  it.each(["", "x".repeat(129), "ü"])("%j is replaced", async (id) => {
    const answer = await harness.post("GetJob", { job_id: "x" }, { "X-Request-Id": id });
    expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("is made where there is none, and returned by every route", async () => {
    for (const path of ["/health", "/nothing", `${SERVICE}/Nothing`]) {
      expect((await fetch(harness.url + path)).headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    }
  });
});

describe("a worker with the local provider", () => {
  it.each([
    [{ host: "evil.example.com" }, false],
    [{ host: "localhost:8081" }, true],
    [{ host: "127.0.0.1", "x-forwarded-host": "evil.example.com" }, false],
    [{ host: "127.0.0.1", "x-forwarded-host": "localhost:8080" }, true],
    [{ host: "127.0.0.1", "x-forwarded-host": "localhost, evil.example.com" }, false],
  ])("addressed as %j is answered: %s", async (headers, isAnswered) => {
    const status = await statusOf(harness, headers);
    if (isAnswered) expect(status).toBe(200);
    else expect([400, 403]).toContain(status);
  });

  it("answers any name where the operator allows it", async () => {
    await using open = await startHarness({ env: { LOCAL_ALLOW_REMOTE: "true" } });
    expect(await statusOf(open, { host: "jennah.example.com" })).toBe(200);
  });
});

describe("whatever arrives", () => {
  it.each([
    ["no Host", `POST ${SERVICE}/SubmitJob HTTP/1.0\r\nContent-Type: application/json\r\n\r\n`],
    ["a Host that is none", `POST ${SERVICE}/SubmitJob HTTP/1.1\r\nHost: a b:c\r\nContent-Length: 0\r\n\r\n`],
    [
      "half a request",
      `POST ${SERVICE}/SubmitJob HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{"im`,
    ],
    ["noise", "\u0000\u0001\u0002 noise\r\n\r\n"],
  ])("%s is answered or closed, and the worker goes on", async (_, bytes) => {
    await new Promise<void>((resolve) => {
      const socket = connectTcp(Number(new URL(harness.url).port), "127.0.0.1", () => {
        socket.write(bytes);
        socket.end();
      });
      socket.resume();
      socket.on("error", () => undefined);
      socket.on("close", () => resolve());
    });
    expect((await harness.post("SubmitJob", OK)).status).toBe(200);
  });
});

describe("10,000 random byte strings", () => {
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const request = Buffer.from(
    `POST ${SERVICE}/SubmitJob HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n`,
  );

  it("are answered or closed, and the worker goes on", async () => {
    const port = Number(new URL(harness.url).port);
    const entropy = createSeededEntropy(20_240_601);
    let left = 10_000;
    const lane = async () => {
      while (left-- > 0) {
        // A third of them get past the first look, as either protocol.
        const start = [Buffer.alloc(0), preface, request][left % 3] ?? preface;
        const noise = entropy.bytes(Math.floor(entropy.uniform() * 200));
        await untilAnsweredOrClosed(port, Buffer.concat([start, noise]));
      }
    };
    await Promise.all(Array.from({ length: 32 }, lane));
    expect((await harness.post("SubmitJob", OK)).status).toBe(200);
  });
});

/** Bytes of a gRPC request without a field: a flag and the length. */
const EMPTY_REQUEST = 5;

describe("behind a gateway", () => {
  const open: (Gateway | ClientHttp2Session)[] = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await ("stop" in each ? each.stop() : each.destroy());
  });

  /** A gateway that takes every RPC for a stream, so that what its callers do reaches the worker at once. */
  async function gatewayUrl(): Promise<string> {
    const gateway = createGateway({
      clock: systemClock,
      log: createLogger({ level: "silent", format: "json" }),
      host: "127.0.0.1",
      port: 0,
      workers: [{ name: "worker-1", url: new URL(harness.url) }],
      rpcs: createRpcTable([]),
      healthIntervalMs: 5000,
      unaryTimeoutMs: 30_000,
      maxRequestBytes: 1024 * 1024,
    });
    open.push(gateway);
    await gateway.start();
    const url = `http://localhost:${gateway.address().port}`;
    while ((await fetch(`${url}/ready`)).status !== 200) await systemClock.yield();
    return url;
  }

  function session(url: string): ClientHttp2Session {
    const client = http2Connect(url);
    client.on("error", () => undefined);
    open.push(client);
    return client;
  }

  /** A gRPC call whose request is still to come. */
  function begin(client: ClientHttp2Session, headers: Record<string, string> = {}): ClientHttp2Stream {
    const stream = client.request({
      ":method": "POST",
      ":path": `${SERVICE}/GetJob`,
      "content-type": "application/grpc",
      "x-tenant-id": "t",
      ...headers,
    });
    stream.on("error", () => undefined);
    return stream.resume();
  }

  /** Sends an empty request, or what is left of one; resolves with gRPC's status, or with the code of a reset. */
  async function grpcStatusOf(
    stream: ClientHttp2Stream,
    left = Buffer.alloc(EMPTY_REQUEST),
  ): Promise<string> {
    let status: unknown;
    const take = (headers: IncomingHttpHeaders) => {
      status = headers["grpc-status"] ?? status;
    };
    stream.on("response", take).on("trailers", take);
    stream.end(left);
    await new Promise((resolve) => stream.on("close", resolve));
    return String(status ?? `reset ${stream.rstCode}`);
  }

  /** Calls that are cancelled when the gateway has passed them on, 90 at a time; `url` is where it tells. */
  async function cancelMany(url: string, client: ClientHttp2Session, count: number): Promise<void> {
    const inFlight = async (expected: number) => {
      const told = new RegExp(`^jennah_gateway_calls_in_flight ${expected}$`, "m");
      while (!client.destroyed && !told.test(await (await fetch(`${url}/metrics`)).text()));
    };
    for (let sent = 0; sent < count && !client.destroyed; sent += 90) {
      // One is the other caller's.
      await inFlight(1);
      const calls = client.destroyed ? [] : Array.from({ length: 90 }, () => begin(client));
      await inFlight(91);
      for (const call of calls) call.close(8);
    }
  }

  it("callers' cancels leave other callers' streams alone, and who cancels without end loses its own connection", async () => {
    const url = await gatewayUrl();
    const other = begin(session(url));
    const request = Buffer.alloc(EMPTY_REQUEST);
    for (let i = 0; i < 2; i++) {
      await cancelMany(url, session(url), 900);
      // A body that stands still for a minute is cut off, which is another test.
      other.write(request.subarray(i, i + 1));
    }
    const endless = session(url);
    await cancelMany(url, endless, Number.POSITIVE_INFINITY);
    expect(endless.destroyed).toBe(true);
    expect(await grpcStatusOf(other, request.subarray(2))).toBe(String(Code.InvalidArgument));
  });

  it("whatever headers the gateway takes in, the worker takes from it", async () => {
    const url = await gatewayUrl();
    const client = session(url);
    const statuses: string[] = [];
    for (let length = 14_000; length <= 17_000; length += 50) {
      statuses.push(await grpcStatusOf(begin(client, { "x-long": "x".repeat(length) })));
    }
    const taken = statuses.lastIndexOf(String(Code.InvalidArgument));
    expect(taken).toBeGreaterThan(20);
    expect(new Set(statuses.slice(0, taken + 1))).toEqual(new Set([String(Code.InvalidArgument)]));
    // By the gateway itself, which resets with ENHANCE_YOUR_CALM.
    expect(new Set(statuses.slice(taken + 1))).toEqual(new Set(["reset 11"]));
    const many = Array.from({ length: 300 }, (_, i) => [`x-${i}`, "y"]);
    expect(await grpcStatusOf(begin(client, Object.fromEntries(many)))).toBe(String(Code.InvalidArgument));
  });
});

describe("while a worker starts", () => {
  it("probes are told so, and calls wait for it instead of being refused", async () => {
    const go = Promise.withResolvers<void>();
    const port = Promise.withResolvers<string>();
    const starting = startHarness({
      beforeTerm: (url) => {
        port.resolve(url);
        return go.promise;
      },
    });
    const url = await port.promise;
    const probe = await fetch(`${url}/ready`);
    expect([probe.status, await probe.json()]).toEqual([503, { ready: false, reason: "STARTING" }]);
    const call = fetch(`${url}${SERVICE}/SubmitJob`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Tenant-Id": "early" },
      body: JSON.stringify(OK),
    });
    const hurried = await fetch(`${url}${SERVICE}/ListJobs`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Tenant-Id": "early", "Connect-Timeout-Ms": "100" },
      body: "{}",
    });
    expect(await hurried.json()).toMatchObject({ code: "deadline_exceeded" });
    go.resolve();
    await using _ = await starting;
    expect((await call).status).toBe(200);
  });
});

describe("a start that fails", () => {
  it("for a taken port names the setting and exits 1, with nothing touched", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const failure = await startHarness({ env: { WORKER_PORT: String(port) } }).catch(
      (error: unknown) => error,
    );
    taken.close();
    expect(failure).toBeInstanceOf(StartupError);
    expect(String(failure)).toContain("WORKER_PORT");
    expect(failure).toMatchObject({ exitCode: 1 });
  });

  it("for its database says so in the words that operators know", async () => {
    const logs: string[] = [];
    const failure = await startHarness({ dbPath: "/dev/null/jennah.db", logs }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(Error);
    expect(logs.join()).toContain("Failed to create database client");
  });

  it("the log of a good one has the words that operators know", () => {
    const messages = harness.logs.map((line) => JSON.parse(line).msg);
    expect(messages).toContain("Starting worker...");
    expect(messages).toContain(`Worker listening on 127.0.0.1:${new URL(harness.url).port}`);
  });
});

/** A request whose Host is what the test says. */
function statusOf(of: Harness, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(`${of.url}/health`, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on("error", reject);
    asked.end();
  });
}

/** Sends bytes and no more; resolves with the first bytes of an answer, or when the connection is closed without any. */
function untilAnsweredOrClosed(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connectTcp(port, "127.0.0.1", () => socket.end(bytes));
    socket.on("data", () => socket.destroy());
    socket.on("error", () => undefined);
    socket.on("close", () => resolve());
  });
}
