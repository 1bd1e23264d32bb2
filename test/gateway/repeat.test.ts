import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { createRpcTable } from "#pkg/gateway/index.ts";
import { isJobId } from "#pkg/job/index.ts";
import { createRing } from "#pkg/ring/index.ts";
import { errorDetails } from "#pkg/rpc/index.ts";
import { PATIENCE_MS } from "#test/support/node-process.ts";
import { probeRoutes } from "./probe-routes.ts";
import {
  type Handlers,
  later,
  startGateway,
  startUpstream,
  tenantOf,
  type Upstream,
  until,
} from "./support.ts";
import { ProbeService } from "./testdata/probe_pb.js";

const NAMES = ["worker-1", "worker-2", "worker-3"];
const UNARY = "/jennah.test.v1.ProbeService/Unary";
const FETCH = "/jennah.test.v1.ProbeService/Fetch";

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
});

const asTenant =
  (id: string): Interceptor =>
  (next) =>
  (request) => {
    request.header.set("X-Tenant-Id", id);
    return next(request);
  };

function connectClient(url: string, tenant: string) {
  const transport = createConnectTransport({
    baseUrl: url,
    httpVersion: "1.1",
    interceptors: [asTenant(tenant)],
  });
  return createClient(ProbeService, transport);
}

function grpcClient(url: string, tenant: string) {
  const sessionManager = new Http2SessionManager(url);
  later({ destroy: () => sessionManager.abort() });
  return createClient(
    ProbeService,
    createGrpcTransport({ baseUrl: url, sessionManager, interceptors: [asTenant(tenant)] }),
  );
}

/** The tenant's own worker behaves as given; the two others serve. */
async function cluster(first: Handlers, overrides = {}) {
  const bad = await startUpstream("worker-1", first);
  const good = [
    await startUpstream("worker-2", { routes: probeRoutes }),
    await startUpstream("worker-3", { routes: probeRoutes }),
  ];
  const under = await startGateway([bad, ...good], overrides);
  const visits = () => [bad, ...good].map((worker: Upstream) => worker.seen.length);
  return { bad, good, under, visits, tenant: tenantOf("worker-1", NAMES) };
}

const failureOf = (call: Promise<unknown>) =>
  call.then(
    () => "answered",
    (error: unknown) => error,
  );

/** The reason that an error gives to programs. */
function reasonOf(error: unknown): unknown {
  if (!(error instanceof ConnectError)) return undefined;
  return error.findDetails(errorDetails).map((detail) => "reason" in detail && detail.reason)[0];
}

describe("a call whose worker fails it", () => {
  it("is tried on the next worker when the connection is refused, also if it may not be repeated", async () => {
    const { bad, under, visits, tenant } = await cluster(
      { routes: probeRoutes },
      { healthIntervalMs: 60_000 },
    );
    await bad.port.stop();
    expect(await connectClient(under.url, tenant).unary({ text: "a" })).toMatchObject({ text: "a" });
    expect(await grpcClient(under.url, tenant).unary({ text: "b" })).toMatchObject({ text: "b" });
    async function* two() {
      yield { text: "c" };
      yield { text: "d" };
    }
    expect(await grpcClient(under.url, tenant).collect(two())).toMatchObject({ text: "c,d" });
    expect(visits().filter((count) => count > 0)).toEqual([3]);
  });

  it("is tried on the next worker when its stream is refused, with all of a stream's body", async () => {
    const { under, visits, tenant } = await cluster({
      stream: (stream) => stream.on("data", () => stream.close(7)),
    });
    async function* words() {
      yield { text: "x" };
      yield { text: "y" };
    }
    expect(await grpcClient(under.url, tenant).collect(words())).toMatchObject({ text: "x,y" });
    expect(visits()[0]).toBe(1);
    expect(visits().reduce((a, b) => a + b)).toBe(2);
  });

  // With an error's code Node ends the whole session, and only the GOAWAY tells which streams were not taken.
  it.each([0, 2])(
    "is tried on the next worker when above the last id of a GOAWAY with code %i",
    async (code) => {
      // Session 1 takes one stream, then says goodbye with that stream's id while another is under way.
      let streams = 0;
      const { under, visits, tenant } = await cluster({
        stream(stream) {
          streams++;
          if (streams === 2) stream.session?.goaway(code, 1);
        },
      });
      const client = grpcClient(under.url, tenant);
      const held = new AbortController();
      const first = failureOf(client.unary({ text: "held" }, { signal: held.signal }));
      await until(() => streams === 1);
      expect(await client.unary({ text: "above" })).toMatchObject({ text: "above" });
      held.abort();
      expect(await first).toMatchObject({ code: code === 0 ? Code.Canceled : Code.Unavailable });
      expect(visits()[0]).toBe(2);
    },
  );

  it("is not repeated after bytes were sent, unless its RPC says that it may be", async () => {
    const breaks: Handlers = {
      http1: (request) => request.resume().on("end", () => request.socket.destroy()),
      stream: (stream) => stream.resume().on("end", () => stream.session?.destroy()),
    };
    const { under, visits, tenant } = await cluster(breaks);
    for (const client of [connectClient(under.url, tenant), grpcClient(under.url, tenant)]) {
      expect(await failureOf(client.unary({ text: "a" }))).toMatchObject({ code: Code.Unavailable });
    }
    expect(visits()).toEqual([2, 0, 0]);
    for (const client of [connectClient(under.url, tenant), grpcClient(under.url, tenant)]) {
      expect(await client.fetch({ text: "a" })).toMatchObject({ text: "a" });
    }
    expect(visits()[0]).toBe(4);
    expect(visits().reduce((a, b) => a + b)).toBe(6);
  });

  it("is repeatable by its job id, which is the same in the repeat and never the caller's", async () => {
    const breaks: Handlers = {
      http1: (request) => request.resume().on("end", () => request.socket.destroy()),
    };
    const rpcs = createRpcTable([ProbeService], new Set(["Unary"]));
    const { bad, good, under, tenant } = await cluster(breaks, { rpcs });
    const headers = { "X-Jennah-Job-Id": "mine", "X-Jennah-Whatever": "too" };
    await connectClient(under.url, tenant).unary({ text: "a" }, { headers });
    const repeat = good.flatMap((worker) => worker.seen)[0];
    const jobId = String(bad.seen[0]?.headers["x-jennah-job-id"]);
    expect(isJobId(jobId)).toBe(true);
    expect(repeat?.headers["x-jennah-job-id"]).toBe(jobId);
    expect(repeat?.headers).not.toHaveProperty("x-jennah-whatever");
    await connectClient(under.url, tenant).unary({ text: "b" });
    expect(bad.seen[1]?.headers["x-jennah-job-id"]).not.toBe(jobId);
  });

  it("visits two workers at most", async () => {
    const breaks: Handlers = { http1: (request) => request.socket.destroy() };
    const workers = await Promise.all(NAMES.map((name) => startUpstream(name, breaks)));
    const under = await startGateway(workers);
    const error = await failureOf(connectClient(under.url, "t").fetch({ text: "a" }));
    expect(error).toMatchObject({ code: Code.Unavailable });
    expect(workers.map(({ seen }) => seen.length).sort()).toEqual([0, 1, 1]);
  });

  it("may have taken effect when its first visit was lost, though the second was refused", async () => {
    const taken: Handlers = {
      http1: (request) => request.resume().on("end", () => request.socket.destroy()),
      stream: (stream) => stream.resume().on("end", () => stream.session?.destroy()),
    };
    const { good, under, visits, tenant } = await cluster(taken, { healthIntervalMs: 60_000 });
    for (const worker of good) await worker.port.stop();
    for (const client of [connectClient(under.url, tenant), grpcClient(under.url, tenant)]) {
      const error = await failureOf(client.fetch({ text: "a" }));
      expect(error).toMatchObject({ code: Code.Unavailable });
      expect(String(error)).toContain("the call may have taken effect");
      expect(reasonOf(error)).toBe("WORKER_LOST");
    }
    expect(visits()).toEqual([2, 0, 0]);
    const ends = under.lines.filter((line) => line.msg === "call failed");
    const [, second] = createRing(NAMES).workersOf(tenant);
    expect(ends.map((line) => [line.visits, line.worker_id])).toEqual([
      [2, second],
      [2, second],
    ]);
  });

  it("did nothing when all its visits were refused", async () => {
    const { bad, good, under, visits, tenant } = await cluster(
      { routes: probeRoutes },
      { healthIntervalMs: 60_000 },
    );
    for (const worker of [bad, ...good]) await worker.port.stop();
    for (const client of [connectClient(under.url, tenant), grpcClient(under.url, tenant)]) {
      const error = await failureOf(client.unary({ text: "a" }));
      expect(error).toMatchObject({ code: Code.Unavailable });
      expect(String(error)).toContain("nothing was done");
      expect(reasonOf(error)).toBe("NO_WORKER_READY");
    }
    expect(visits()).toEqual([0, 0, 0]);
  });

  it("is not repeated once a byte of its reply was passed on: the caller sees it broken", async () => {
    const { under, visits, tenant } = await cluster({
      http1(request, response) {
        request.resume();
        response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
        response.write("{", () => request.socket.destroy());
      },
      stream(stream) {
        stream.respond({ ":status": 200, "content-type": "application/grpc+proto" });
        stream.write("\0", () => stream.close(2));
      },
    });
    expect(await failureOf(connectClient(under.url, tenant).fetch({ text: "a" }))).not.toBe("answered");
    expect(await failureOf(grpcClient(under.url, tenant).fetch({ text: "a" }))).not.toBe("answered");
    expect(visits()).toEqual([2, 0, 0]);
  });

  it.each([429, 503])("an overloaded worker's %i is the answer: it never spills", async (status) => {
    const { under, visits, tenant } = await cluster({
      http1: (request, response) => void request.resume().on("end", () => response.writeHead(status).end()),
      stream: (stream) => stream.respond({ ":status": status }, { endStream: true }),
    });
    expect(await failureOf(connectClient(under.url, tenant).fetch({ text: "a" }))).toMatchObject({
      code: Code.Unavailable,
    });
    expect(await failureOf(grpcClient(under.url, tenant).fetch({ text: "a" }))).toMatchObject({
      code: Code.Unavailable,
    });
    expect(visits()).toEqual([2, 0, 0]);
  });

  it("a body longer than what is kept is not repeated, and passes whole", async () => {
    const { bad, under, tenant, visits } = await cluster(
      { stream: (stream) => stream.on("end", () => stream.close(7)).resume() },
      { maxRequestBytes: 2000 },
    );
    async function* large() {
      for (let i = 0; i < 10; i++) yield { text: "x".repeat(1000) };
    }
    expect(await failureOf(grpcClient(under.url, tenant).collect(large()))).toMatchObject({
      code: Code.Unavailable,
    });
    expect(visits()).toEqual([1, 0, 0]);
    await bad.port.stop();
    const answer = await grpcClient(under.url, tenantOf("worker-2", NAMES)).collect(large());
    expect(answer.count).toBe(10);
  });
});

describe("a kept connection that the worker closes as the next call arrives", () => {
  it("costs only a call that may not be repeated, and is never used for a second try at the same worker", async () => {
    const calls: string[] = [];
    const worker = createServer((socket) => {
      let isFirst = true;
      socket.on("error", () => undefined);
      socket.on("data", (bytes) => {
        const [, target = ""] = /^\w+ (\S+)/.exec(bytes.toString()) ?? [];
        if (target !== "/ready") calls.push(target);
        // Answers once; a second call on the same connection finds it closing.
        if (target !== "/ready" && !isFirst) return socket.destroy();
        isFirst = false;
        return socket.write(
          "HTTP/1.1 200 OK\r\nContent-Type: application/proto\r\nContent-Length: 0\r\n\r\n",
        );
      });
    });
    later({ destroy: () => worker.close() });
    worker.listen(0, "127.0.0.1");
    await once(worker, "listening");
    const { port } = worker.address() as { port: number };
    const good = await startUpstream("worker-2", { routes: probeRoutes });
    const first = { name: "worker-1", url: new URL(`http://127.0.0.1:${port}`) };
    // One probe only, whose connection the first call finds.
    const under = await startGateway([first, good], { healthIntervalMs: 60_000 });
    const client = connectClient(under.url, tenantOf("worker-1", ["worker-1", "worker-2"]));
    expect(await client.fetch({ text: "a" })).toMatchObject({ text: "a" });
    expect([calls, good.seen.length]).toEqual([[FETCH], 1]);
    expect(await client.unary({ text: "b" })).toMatchObject({ text: "" });
    expect(await failureOf(client.unary({ text: "c" }))).toMatchObject({ code: Code.Unavailable });
    expect([calls, good.seen.length]).toEqual([[FETCH, UNARY, UNARY], 1]);
  });
});

describe("readiness", () => {
  it("a tenant's calls stay on one worker while it lives, and come back to it", async () => {
    const workers = await Promise.all(NAMES.map((name) => startUpstream(name, { routes: probeRoutes })));
    const under = await startGateway(workers);
    const tenant = tenantOf("worker-2", NAMES);
    const client = connectClient(under.url, tenant);
    for (let i = 0; i < 10; i++) await client.unary({ text: "x" });
    expect(workers.map(({ seen }) => seen.length)).toEqual([0, 10, 0]);
    const own = workers[1] as Upstream;
    own.readyStatus = 503;
    await under.logged((line) => line.msg === "worker is not ready" && line.worker_id === "worker-2");
    await client.unary({ text: "x" });
    expect(own.seen).toHaveLength(10);
    own.readyStatus = 200;
    const readyLines = () =>
      under.lines.filter((l) => l.msg === "worker is ready" && l.worker_id === "worker-2");
    await until(() => readyLines().length === 2);
    await client.unary({ text: "x" });
    expect(own.seen).toHaveLength(11);
  });

  it("a repeat whose worker turns unready waits for it, also where a third worker is ready", async () => {
    const [first, second, third] = createRing(NAMES).workersOf("t");
    const release = Promise.withResolvers<void>();
    let waiting = 0;
    const breaks: Handlers = {
      http1: (request) => request.resume().on("end", () => request.socket.destroy()),
      stream: (stream) => stream.resume().on("end", () => stream.session?.destroy()),
    };
    const waits: Handlers = {
      routes: (router) =>
        router.service(ProbeService, {
          async fetch({ text }) {
            waiting++;
            await release.promise;
            return { text };
          },
        }),
    };
    const broken = await startUpstream(first ?? "", breaks);
    const slow = await startUpstream(second ?? "", waits);
    const idle = await startUpstream(third ?? "", { routes: probeRoutes });
    const under = await startGateway([broken, slow, idle], { unaryTimeoutMs: PATIENCE_MS });
    const answers = Promise.all(
      [connectClient, grpcClient].map((client) => failureOf(client(under.url, "t").fetch({ text: "late" }))),
    );
    await until(() => waiting === 2);
    slow.readyStatus = 503;
    await under.logged((line) => line.msg === "worker is not ready" && line.worker_id === second);
    release.resolve();
    expect(await answers).toEqual(["answered", "answered"]);
    expect(idle.seen).toEqual([]);
  });

  it("three failed probes make a worker unready, two do not", async () => {
    let answers: number[] = [];
    let probes = 0;
    const worker = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.on("data", () => {
        probes++;
        const status = answers.shift() ?? 200;
        socket.write(`HTTP/1.1 ${status} X\r\nContent-Length: 0\r\n\r\n`);
      });
    });
    later({ destroy: () => worker.close() });
    worker.listen(0, "127.0.0.1");
    await once(worker, "listening");
    const { port } = worker.address() as { port: number };
    const under = await startGateway([{ name: "w", url: new URL(`http://127.0.0.1:${port}`) }], {
      healthIntervalMs: 50,
      // No probe is ever too late: a late one would count as the third.
      clock: { ...systemClock, timer: () => ({ cancel: () => undefined }) },
    });
    answers = [500, 500, 200, 500, 500];
    const before = probes;
    await until(() => probes >= before + 6);
    expect(under.lines.some((line) => line.msg === "worker is not ready")).toBe(false);
    answers = [500, 500, 500];
    await under.logged((line) => line.msg === "worker is not ready");
    expect((await fetch(`${under.url}/ready`)).status).toBe(503);
  });

  it("a frozen worker is unready, and what may be repeated goes elsewhere at once", async () => {
    const script = new URL("frozen-worker.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    children.push(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const port = Number((await lines.next()).value);
    const good = await startUpstream("worker-2", { routes: probeRoutes });
    const frozen = { name: "worker-1", url: new URL(`http://127.0.0.1:${port}`) };
    const under = await startGateway([frozen, good], { healthIntervalMs: 200, unaryTimeoutMs: 30_000 });
    const tenant = tenantOf("worker-1", ["worker-1", "worker-2"]);
    const overHttp1 = connectClient(under.url, tenant).fetch({ text: "a" });
    const overHttp2 = grpcClient(under.url, tenant).fetch({ text: "b" });
    const once1 = failureOf(connectClient(under.url, tenant).unary({ text: "c" }, { timeoutMs: 8000 }));
    const calls = [await lines.next(), await lines.next(), await lines.next()].map(({ value }) => value);
    expect(calls.sort()).toEqual([`call ${FETCH}`, `call ${FETCH}`, `call ${UNARY}`]);
    child.kill("SIGSTOP");
    expect(await Promise.all([overHttp1, overHttp2])).toMatchObject([{ text: "a" }, { text: "b" }]);
    expect(under.lines.some((line) => line.msg === "worker is not ready")).toBe(true);
    expect(await once1).toMatchObject({ code: Code.DeadlineExceeded });
    expect(good.seen.map(({ target }) => target)).toEqual([FETCH, FETCH]);
    child.kill("SIGCONT");
    await until(() => under.lines.filter((line) => line.msg === "worker is ready").length === 3);
  });
});
