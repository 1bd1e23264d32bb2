import { once } from "node:events";
import type { ServerHttp2Stream } from "node:http2";
import { createServer, connect as netConnect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { http2Session, type LogLine, later, startGateway, startUpstream, until } from "./support.ts";

const HEADERS = {
  ":method": "POST",
  ":path": "/jennah.test.v1.ProbeService/Unary",
  "content-type": "application/grpc",
  "x-tenant-id": "t",
};

/** An address whose host can vanish: connections stay, and nothing comes any more. */
async function startVanishing(to: URL) {
  const outside = new Set<Socket>();
  const inside = new Set<Socket>();
  let isThere = true;
  const proxy = createServer((outer) => {
    outside.add(outer);
    outer.on("error", () => undefined);
    if (!isThere) return;
    const inner = later(netConnect(Number(to.port), to.hostname));
    inside.add(inner);
    inner.on("error", () => undefined);
    outer.pipe(inner).pipe(outer);
  });
  later({
    destroy() {
      for (const socket of [...outside, ...inside]) socket.destroy();
      proxy.close();
    },
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as { port: number };
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    vanish() {
      isThere = false;
      for (const socket of [...outside, ...inside]) socket.unpipe().pause();
    },
    comeBack() {
      isThere = true;
    },
    /** Resolves when the gateway has closed all its connections, and not its own half only. */
    async untilNobodyListens() {
      for (const socket of outside) {
        while (!socket.destroyed) {
          socket.write("x");
          await systemClock.yield();
        }
      }
    },
  };
}

/** A gateway before a worker that answers every stream at once, on a host that can vanish. */
async function overVanishing() {
  const upstream = await startUpstream("worker-1", {
    stream: (stream) => stream.resume().respond({ ":status": 200 }, { endStream: true }),
  });
  const host = await startVanishing(upstream.url);
  const under = await startGateway([{ name: "worker-1", url: host.url }]);
  return { upstream, host, under };
}

const turnedReady = ({ msg }: LogLine) => msg === "worker is ready";

describe("a worker that turns unready", () => {
  it("and whose host had vanished without a word is called over a new connection when it is back", async () => {
    const { upstream, host, under } = await overVanishing();
    const call = () => http2Session(under.url).request(HEADERS).end();
    await once(call(), "response");
    host.vanish();
    await under.logged(({ msg }) => msg === "worker is not ready");
    host.comeBack();
    await until(() => under.lines.filter(turnedReady).length === 2);
    const [headers] = await once(call(), "response");
    expect(headers).toMatchObject({ ":status": 200, "x-request-id": expect.any(String) });
    expect(headers).not.toHaveProperty("grpc-status");
    expect(upstream.seen).toHaveLength(2);
  });

  it("keeps the streams that it has, while further ones come over another connection", async () => {
    const streams: ServerHttp2Stream[] = [];
    const upstream = await startUpstream("worker-1", {
      stream(stream) {
        stream.resume().respond({ ":status": 200 });
        streams.push(stream);
      },
    });
    const under = await startGateway([upstream]);
    // None that the contract calls unary: a stream without a time limit.
    const headers = { ...HEADERS, ":path": "/jennah.test.v1.ProbeService/Later" };
    const session = http2Session(under.url);
    const held = session.request(headers);
    await once(held, "response");
    const heldText = text(held);
    upstream.readyStatus = 503;
    await under.logged(({ msg }) => msg === "worker is not ready");
    upstream.readyStatus = 200;
    await until(() => under.lines.filter(turnedReady).length === 2);
    const further = session.request(headers);
    await once(further, "response");
    const [first, second] = streams;
    const retired = first?.session;
    expect(second?.session).not.toBe(retired);
    first?.end("said to the end");
    expect(await heldText).toBe("said to the end");
    await until(() => retired?.destroyed === true);
    second?.end("too");
    expect(await text(further)).toBe("too");
  });
});

describe("a gateway that stops", () => {
  it("waits for no worker that has vanished", async () => {
    const { host, under } = await overVanishing();
    await once(http2Session(under.url).request(HEADERS).end(), "response");
    host.vanish();
    await under.logged(({ msg }) => msg === "worker is not ready");
    await under.gateway.stop();
    await host.untilNobodyListens();
  });
});
