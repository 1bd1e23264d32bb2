import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { createSeededEntropy } from "#pkg/clock/index.ts";
import { probeRoutes } from "./probe-routes.ts";
import { http2Session, rawSocket, startGateway, startUpstream, until, untilClosed } from "./support.ts";

const UNARY = "/jennah.test.v1.ProbeService/Unary";
const HEAD = `POST ${UNARY} HTTP/1.1\r\nHost: a\r\nX-Tenant-Id: t\r\nContent-Type: application/json\r\n`;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async function start() {
  const upstream = await startUpstream("worker-1", { routes: probeRoutes });
  return startGateway([upstream]);
}

async function serves(url: string): Promise<void> {
  const headers = { "content-type": "application/json", "x-tenant-id": "t" };
  const answer = await fetch(`${url}${UNARY}`, { method: "POST", headers, body: '{"text":"still"}' });
  expect(await answer.json()).toMatchObject({ text: "still" });
}

describe("whatever arrives", () => {
  it("10,000 random byte strings are answered or their connection closed, and the gateway serves on", async () => {
    const under = await start();
    const entropy = createSeededEntropy(42);
    const starts = ["", "GET / HTTP/1.1\r\n", HEAD, `${HEAD}Content-Length: 9\r\n\r\n`, PREFACE, "PRI * HT"];
    let left = 10_000;
    async function throwBytes(): Promise<void> {
      while (left-- > 0) {
        const length = 1 + Math.floor(entropy.uniform() * 200);
        const begin = starts[Math.floor(entropy.uniform() * starts.length)] ?? "";
        const socket = rawSocket(under.port);
        const closed = once(socket, "close");
        socket.resume();
        socket.end(Buffer.concat([Buffer.from(begin), entropy.bytes(length)]));
        await closed;
      }
    }
    await Promise.all(Array.from({ length: 32 }, throwBytes));
    await serves(under.url);
  });

  it("half a request and a closed socket leave nothing behind", async () => {
    const under = await start();
    const halves = [
      HEAD,
      `${HEAD}Content-Length: 100\r\n\r\n{"te`,
      `${HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nab`,
    ];
    for (const half of halves) {
      const socket = rawSocket(under.port);
      await once(socket, "connect");
      await new Promise<void>((resolve) => socket.write(half, () => resolve()));
      socket.destroy();
    }
    const session = http2Session(under.url);
    const headers = {
      ":method": "POST",
      ":path": UNARY,
      "content-type": "application/json",
      "x-tenant-id": "t",
    };
    const stream = session.request(headers);
    stream.on("error", () => undefined);
    await new Promise<void>((resolve) => stream.write("{", () => resolve()));
    session.destroy();
    await until(() => under.lines.filter((line) => line.fault === "caller_gone").length >= 3);
    await serves(under.url);
    const figures = await (await fetch(`${under.url}/metrics`)).text();
    expect(figures).toMatch(/^jennah_gateway_calls_in_flight 0$/m);
  });

  it("two lengths, or a length and chunks, reach no worker", async () => {
    const upstream = await startUpstream("worker-1", { routes: probeRoutes });
    const under = await startGateway([upstream]);
    const smuggled = [
      `${HEAD}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n`,
      `${HEAD}Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd`,
      `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
      `${HEAD}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
    ];
    for (const bytes of smuggled) {
      const socket = rawSocket(under.port);
      socket.write(bytes);
      expect(await untilClosed(socket)).toMatch(/^HTTP\/1\.1 400 /);
    }
    expect(upstream.seen).toEqual([]);
    await serves(under.url);
  });

  it("the gateway's own pages need no tenant, and calls do", async () => {
    const under = await start();
    expect(await (await fetch(`${under.url}/health`)).text()).toBe("OK");
    expect(await (await fetch(`${under.url}/ready`)).json()).toEqual({ ready: true });
    const stream = http2Session(under.url).request({ ":path": "/health" });
    expect(await text(stream)).toBe("OK");
    for (const [tenant, status] of [
      [undefined, 401],
      ["-bad", 400],
      ["__proto__", 400],
    ] as const) {
      const headers = { "content-type": "application/json", ...(tenant && { "x-tenant-id": tenant }) };
      const answer = await fetch(`${under.url}${UNARY}`, { method: "POST", headers, body: "{}" });
      expect(answer.status).toBe(status);
      expect(answer.headers.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
    }
    await serves(under.url);
    for (let i = 0; i < 30; i++) {
      await fetch(`${under.url}/random.${i}/Rpc${i}`, {
        method: "POST",
        headers: { "x-tenant-id": `t${i}` },
      });
    }
    const figures = await (await fetch(`${under.url}/metrics`)).text();
    expect(figures).toContain('rpc="Unary",protocol="connect-unary",code="200"');
    expect(figures).not.toMatch(/t1\b.*tenant|Rpc\d/);
    expect(figures).toContain('jennah_gateway_worker_ready{worker="worker-1"} 1');
  });

  it("a drain lets calls finish, says 503 on /ready meanwhile, and takes in no new connection", async () => {
    const release = Promise.withResolvers<void>();
    const upstream = await startUpstream("worker-1", {
      http1: (request, response) =>
        void request.resume().on("end", () => release.promise.then(() => response.end("done"))),
    });
    const under = await startGateway([upstream]);
    const kept = rawSocket(under.port);
    kept.write(`${HEAD}Content-Length: 0\r\n\r\nGET /ready HTTP/1.1\r\nHost: a\r\n\r\n`);
    const answers = untilClosed(kept);
    await until(() => upstream.seen.length === 1);
    const drained = under.gateway.drain(new AbortController().signal);
    await expect(fetch(`${under.url}/health`)).rejects.toThrow();
    release.resolve();
    expect(await answers).toContain("done");
    await drained;
  });
});
