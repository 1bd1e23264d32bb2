import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, it } from "vitest";
import { type Clock, systemClock } from "#pkg/clock/index.ts";
import type { GatewayOptions } from "#pkg/gateway/index.ts";
import { type MetadataDouble, Mood, startMetadataDouble } from "#test/clouds/metadata/metadata-double.ts";
import { type GuardedWorker, startGuardedWorker } from "./guarded-worker.ts";
import { createSelfSigned } from "./self-signed.ts";
import {
  type GatewayUnderTest,
  http2Session,
  later,
  startGateway,
  startGatewayAtOnce,
  tenantOf,
  until,
} from "./support.ts";

const RPC = "/jennah.probe.v1.ProbeService/Unary";
const NAMES = ["worker-1", "worker-2"];

const HOUR_MS = 3_600_000;

/** The system's clock, by which nothing is ever too late. */
const UNTIMED: Clock = { ...systemClock, timer: () => ({ cancel: () => undefined }) };

/** The system's clock, whose wall can be moved, so that tokens end while the workers are still ready. */
function movableClock() {
  const { nowMs, ...rest } = systemClock;
  let aheadMs = 0;
  const clock: Clock = { ...rest, nowMs: () => nowMs() + aheadMs };
  const goOn = (ms: number) => {
    aheadMs += ms;
  };
  return { clock, goOn };
}

async function startMetadata(): Promise<MetadataDouble> {
  return later(await startMetadataDouble({ clock: systemClock }));
}

async function guarded(metadata: MetadataDouble, ...names: string[]): Promise<GuardedWorker[]> {
  return Promise.all(names.map(async (name) => later(await startGuardedWorker(name, metadata))));
}

const asking = ({ host }: MetadataDouble): Partial<GatewayOptions> => ({
  workerAuth: "google-id-token",
  metadataHost: host,
});

/** Calls may come before the workers are ready, if ever they are. */
function startAsking(metadata: MetadataDouble, workers: readonly GuardedWorker[]) {
  return startGatewayAtOnce(workers, { ...asking(metadata), healthIntervalMs: 100, clock: UNTIMED });
}

function startServing(metadata: MetadataDouble, workers: readonly GuardedWorker[], more = {}) {
  return startGateway(workers, { ...asking(metadata), ...more });
}

function post(url: string, headers: Record<string, string> = {}): Promise<Response> {
  const all = { "x-tenant-id": "t", "content-type": "application/json", ...headers };
  return fetch(`${url}${RPC}`, { method: "POST", headers: all, body: "{}" });
}

async function overGrpc(url: string, tenant = "t"): Promise<Record<string, unknown>> {
  const stream = http2Session(url).request({
    ":method": "POST",
    ":path": RPC,
    "content-type": "application/grpc",
    "x-tenant-id": tenant,
    te: "trailers",
    authorization: "Bearer the-callers-own",
  });
  stream.end(Buffer.alloc(5));
  const [headers] = await once(stream, "response");
  stream.resume();
  return headers;
}

function expectNoTokenIn(under: Pick<GatewayUnderTest, "lines">, metadata: MetadataDouble): void {
  const log = JSON.stringify(under.lines);
  for (const token of metadata.tokens) for (const part of token.split(".")) expect(log).not.toContain(part);
}

describe("workers that ask for an ID token", () => {
  it("get one with each probe and each call, over both versions, for their own origin", async () => {
    const metadata = await startMetadata();
    const workers = await guarded(metadata, ...NAMES);
    const under = await startServing(metadata, workers);
    for (const name of NAMES) {
      const tenant = tenantOf(name, NAMES);
      expect((await post(under.url, { "x-tenant-id": tenant })).status).toBe(200);
      expect(await overGrpc(under.url, tenant)).toMatchObject({ ":status": 200, "grpc-status": "0" });
    }
    for (const worker of workers) {
      expect(worker.knocks.map(({ fault }) => fault)).not.toContainEqual(expect.anything());
      expect(worker.calls().map(({ httpVersion }) => httpVersion)).toEqual(["1.1", "2.0"]);
      expect(worker.knocks.some(({ target }) => target === "/ready")).toBe(true);
    }
    expect(metadata.asked.sort()).toEqual(workers.map(({ url }) => url.origin).sort());
    expectNoTokenIn(under, metadata);
  });

  it("get the caller's Authorization as it came, and no X-Serverless-Authorization but the gateway's", async () => {
    const metadata = await startMetadata();
    const [worker] = await guarded(metadata, "worker-1");
    const under = await startServing(metadata, worker ? [worker] : []);
    const given = { authorization: "Bearer the-callers-own", "X-Serverless-Authorization": "Bearer forged" };
    expect((await post(under.url, given)).status).toBe(200);
    await overGrpc(under.url);
    for (const { headers, fault } of worker?.calls() ?? []) {
      expect(headers.authorization).toBe("Bearer the-callers-own");
      expect(fault).toBeUndefined();
    }
    expect(worker?.calls()).toHaveLength(2);
  });

  it("are unavailable to a call while no token can be had, with the cause in the log, and serve again after", async () => {
    const metadata = await startMetadata();
    const workers = await guarded(metadata, ...NAMES);
    const { clock, goOn } = movableClock();
    const under = await startServing(metadata, workers, { clock, healthIntervalMs: 10_000 });
    metadata.mood = Mood.Fails;
    goOn(HOUR_MS);
    const reply = await post(under.url);
    expect(reply.status).toBe(503);
    expect(reply.headers.get("retry-after")).toBe("1");
    expect(await reply.json()).toMatchObject({ code: "unavailable" });
    expect(await overGrpc(under.url)).toMatchObject({ "grpc-status": "14" });
    const line = await under.logged(({ msg }) => msg === "call failed");
    expect(JSON.stringify(line.err)).toMatch(/no ID token for http.*status 500/);
    expect(line.visits).toBe(2);
    expect(workers.flatMap((worker) => worker.calls())).toEqual([]);

    metadata.mood = Mood.Well;
    let status = 503;
    while (status === 503) status = (await post(under.url)).status;
    expect(status).toBe(200);
    expectNoTokenIn(under, metadata);
  });

  it("are visited by a call that waited for its token, once, and by none whose caller left meanwhile", async () => {
    const metadata = await startMetadata();
    const [worker] = await guarded(metadata, "worker-1");
    const { clock, goOn } = movableClock();
    const under = await startServing(metadata, worker ? [worker] : [], { clock, healthIntervalMs: 10_000 });
    metadata.mood = Mood.Hangs;
    goOn(HOUR_MS);
    const asked = metadata.asked.length;
    const leaving = new AbortController();
    const left = fetch(`${under.url}${RPC}`, {
      method: "POST",
      headers: { "x-tenant-id": "t", "content-type": "application/json", "x-request-id": "left" },
      body: "{}",
      signal: leaving.signal,
    });
    const stays = post(under.url, { "x-request-id": "stays" });
    await metadata.untilAsked(asked + 1);
    leaving.abort();
    await expect(left).rejects.toThrow();
    await under.logged(({ request_id }) => request_id === "left");
    metadata.release();
    expect((await stays).status).toBe(200);
    expect(worker?.calls().map(({ headers }) => headers["x-request-id"])).toEqual(["stays"]);
    expect(metadata.asked).toHaveLength(asked + 1);
  });

  it("make a gateway that starts before its metadata server wait, not fail", async () => {
    const metadata = await startMetadata();
    metadata.mood = Mood.Fails;
    const [worker] = await guarded(metadata, "worker-1");
    const under = await startAsking(metadata, worker ? [worker] : []);
    expect((await fetch(`${under.url}/ready`)).status).toBe(503);
    metadata.mood = Mood.Well;
    await under.logged(({ msg }) => msg === "worker is ready");
    expect((await post(under.url)).status).toBe(200);
  });

  it("that let nobody in are told of once, with what they answered", async () => {
    const metadata = await startMetadata();
    const worker = later(await startGuardedWorker("worker-1", { faultOf: () => "not invited" }));
    const under = await startAsking(metadata, [worker]);
    const isToldOf = ({ msg }: Record<string, unknown>) => msg === "worker is not ready";
    expect((await under.logged(isToldOf)).err).toMatchObject({ message: "/ready answered 401" });
    const knocks = worker.knocks.length;
    await until(() => worker.knocks.length > knocks + 3);
    expect(under.lines.filter(isToldOf)).toHaveLength(1);
    expectNoTokenIn(under, metadata);
  });

  it("that refuse a token are given another one with the next probe", async () => {
    const metadata = await startMetadata();
    const revoked = new Set<string>();
    const isFaulty = (jwt: string | undefined, audience: string) =>
      revoked.has(jwt ?? "") ? "revoked" : metadata.faultOf(jwt, audience);
    const worker = later(await startGuardedWorker("worker-1", { faultOf: isFaulty }));
    await startServing(metadata, [worker], { healthIntervalMs: 100 });
    revoked.add(metadata.tokens[0] ?? "");
    const asked = metadata.asked.length;
    await metadata.untilAsked(asked + 1);
    expect(worker.knocks.some(({ fault }) => fault === "revoked")).toBe(true);
  });

  it("keep no stopping gateway waiting for a metadata server that hangs", async () => {
    const metadata = await startMetadata();
    const [worker] = await guarded(metadata, "worker-1");
    const { clock, goOn } = movableClock();
    // The time that the gateway grants the metadata server never runs out.
    const { timer } = UNTIMED;
    const slow = { clock: { ...clock, timer }, healthIntervalMs: 10_000 };
    const under = await startServing(metadata, worker ? [worker] : [], slow);
    metadata.mood = Mood.Hangs;
    goOn(HOUR_MS);
    const asked = metadata.asked.length;
    const call = post(under.url).catch(() => "cut");
    await metadata.untilAsked(asked + 1);
    await under.gateway.stop();
    expect(await call).toBe("cut");
  });
});

describe("workers that ask for nothing", () => {
  it("get no token, and no credential that a caller meant for the gateway's own front door", async () => {
    const worker = later(await startGuardedWorker("worker-1", { faultOf: () => undefined }));
    const under = await startGateway([worker]);
    await post(under.url, {
      "X-Serverless-Authorization": "Bearer for-the-gateway",
      authorization: "Basic x",
    });
    expect(worker.calls()[0]?.headers).toMatchObject({ authorization: "Basic x" });
    for (const { headers } of worker.knocks) expect(headers).not.toHaveProperty("x-serverless-authorization");
  });
});

describe("the command with WORKER_AUTH=google-id-token", () => {
  it("serves in front of a worker over https that demands the token, over both versions", async () => {
    const metadata = await startMetadata();
    const tls = createSelfSigned();
    const worker = later(await startGuardedWorker("worker-1", metadata, tls));
    const cwd = mkdtempSync(join(tmpdir(), "jennah-gateway-"));
    later({ destroy: () => rmSync(cwd, { recursive: true }) });
    writeFileSync(join(cwd, "ca.pem"), tls.cert);
    const main = new URL("../../cmd/gateway/main.ts", import.meta.url).pathname;
    const child = spawn(process.execPath, [main], {
      cwd,
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        GATEWAY_PORT: "0",
        GATEWAY_HOST: "127.0.0.1",
        WORKER_URLS: `worker-1=${worker.url.origin}`,
        WORKER_AUTH: "google-id-token",
        GCE_METADATA_HOST: metadata.host,
        NODE_EXTRA_CA_CERTS: join(cwd, "ca.pem"),
        LOG_LEVEL: "debug",
      },
    });
    later({ destroy: () => child.kill("SIGKILL") });
    const lines: Record<string, unknown>[] = [];
    createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line)));
    const address = () =>
      lines.map(({ msg }) => /^Gateway listening on (.*)$/.exec(String(msg))?.[1]).find(Boolean);
    await until(() => address() !== undefined && lines.some(({ msg }) => msg === "worker is ready"));
    const url = `http://${address()}`;
    expect((await post(url)).status).toBe(200);
    expect(await overGrpc(url)).toMatchObject({ ":status": 200, "grpc-status": "0" });
    expect(worker.calls().map(({ httpVersion, fault }) => [httpVersion, fault])).toEqual([
      ["1.1", undefined],
      ["2.0", undefined],
    ]);
    expect(worker.calls()[1]?.headers[":scheme"]).toBe("https");
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expectNoTokenIn({ lines }, metadata);
  });
});
