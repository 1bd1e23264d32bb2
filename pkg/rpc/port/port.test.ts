import { once } from "node:events";
import { request as http1Request } from "node:http";
import {
  type ClientHttp2Session,
  connect as http2Connect,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import { connect as netConnect, type Socket } from "node:net";
import type { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterEach, describe, expect, it } from "vitest";
import { createManualClock, systemClock } from "#pkg/clock/index.ts";
import { StartupError } from "#pkg/errors/index.ts";
import { createPort, LOOPBACK_ONLY, type Port, type PortOptions } from "./index.ts";

const running: Port[] = [];
const clients: (Socket | ClientHttp2Session)[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const port of running.splice(0)) await port.stop();
});

/** Answers each request with its version and target, over either protocol. */
function echo(overrides: Partial<PortOptions> = {}): Port {
  const port = createPort({
    name: "test",
    clock: systemClock,
    host: "127.0.0.1",
    port: 0,
    setting: "TEST_PORT",
    handlers: {
      http1: (request, response) => void response.end(`1 ${request.url}`),
      http2: { requests: (request, response) => void response.end(`2 ${request.url}`) },
    },
    ...overrides,
  });
  running.push(port);
  return port;
}

function raw(port: Port): Socket {
  const socket = netConnect(port.address().port, "127.0.0.1");
  socket.on("error", () => undefined);
  clients.push(socket);
  return socket;
}

async function exchange(port: Port, bytes: string): Promise<string> {
  const socket = raw(port);
  socket.write(bytes);
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(socket, "close");
  return Buffer.concat(chunks).toString("latin1");
}

function session(port: Port): ClientHttp2Session {
  const client = http2Connect(`http://127.0.0.1:${port.address().port}`);
  client.on("error", () => undefined);
  clients.push(client);
  return client;
}

async function get(client: ClientHttp2Session, headers: Record<string, string>) {
  const stream = client.request(headers);
  const [head] = await once(stream, "response");
  return { status: head[":status"] as number, body: await text(stream) };
}

describe("port", () => {
  it("speaks HTTP/1.1 and HTTP/2 on one address, however the first bytes are cut", async () => {
    const port = echo();
    await port.start();
    expect(await get(session(port), { ":path": "/a" })).toEqual({ status: 200, body: "2 /a" });
    expect(await exchange(port, "GET /b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toContain("1 /b");

    const socket = raw(port);
    socket.setNoDelay();
    for (const byte of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
      socket.write(byte);
      await systemClock.yield();
    }
    const [settings] = (await once(socket, "data")) as [Buffer];
    expect(settings.readUInt8(3)).toBe(4);
  });

  it("a method that begins like the preface is HTTP/1.1", async () => {
    const port = echo();
    await port.start();
    expect(await exchange(port, "PROPFIND /p HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).toContain(
      "1 /p",
    );
  });

  it("pipelined requests are answered in order", async () => {
    const port = echo();
    await port.start();
    const two = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    const answer = await exchange(port, two);
    expect(answer.indexOf("1 /1")).toBeGreaterThan(0);
    expect(answer.indexOf("1 /2")).toBeGreaterThan(answer.indexOf("1 /1"));
  });

  it.each([
    ["no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
    ["no Host", "GET / HTTP/1.1\r\n\r\n"],
    ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n"],
    ["a Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"],
    ["a Host that is no port", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n"],
    ["a Host with brackets", "GET / HTTP/1.1\r\nHost: [\r\n\r\n"],
    ["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
    ["an absolute target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["a target of two slashes", "GET //[ HTTP/1.1\r\nHost: a\r\n\r\n"],
    ["an asterisk", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
    [
      "both lengths",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ["two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde"],
    ["garbage", "\x00\x01\x02\r\n\r\n"],
  ])("%s is answered 400 and the connection closed", async (_, bytes) => {
    const port = echo();
    await port.start();
    expect(await exchange(port, bytes)).toMatch(/^HTTP\/1\.1 400 /);
  });

  it("CONNECT closes the connection, and an Upgrade that is not offered is an ordinary request", async () => {
    const port = echo();
    await port.start();
    expect(await exchange(port, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")).not.toContain("200");
    const upgrade =
      "GET /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    expect(await exchange(port, upgrade)).toContain("1 /u");
  });

  it("HTTP/2 without a usable address is answered 400, and the session goes on", async () => {
    const port = echo();
    await port.start();
    const client = session(port);
    expect((await get(client, { ":path": "//[" })).status).toBe(400);
    // nghttp2 itself refuses these two.
    await expect(get(client, { ":path": "x" })).rejects.toThrow("PROTOCOL_ERROR");
    await expect(get(client, { ":path": "/", ":authority": "a b" })).rejects.toThrow("PROTOCOL_ERROR");
    expect((await get(client, { ":path": "/", ":authority": "a:99999" })).status).toBe(400);
    expect((await get(client, { ":method": "CONNECT", ":authority": "a:1" })).status).toBe(400);
    expect((await get(client, { ":path": "/ok" })).body).toBe("2 /ok");
  });

  it("a Host that it does not answer to is refused", async () => {
    const port = echo({ accepts: LOOPBACK_ONLY });
    await port.start();
    expect(await exchange(port, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")).toMatch(/^HTTP\/1\.1 400 /);
    for (const host of ["localhost:1", "127.0.0.1", "127.9.9.9:8", "[::1]:3"]) {
      const answer = await exchange(port, `GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    }
    expect((await get(session(port), { ":path": "/", ":authority": "evil.example" })).status).toBe(400);
  });

  it("headers above the limit are refused, over both protocols", async () => {
    const port = echo({ limits: { headerBytes: 2000 } });
    await port.start();
    const big = "x".repeat(4000);
    expect(await exchange(port, `GET / HTTP/1.1\r\nHost: a\r\nBig: ${big}\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 431 /,
    );
    const client = session(port);
    // The limit holds from the moment that the peer has heard of it.
    await once(client, "remoteSettings");
    const stream = client.request({ ":path": "/", big });
    await expect(once(stream, "response")).rejects.toThrow();
  });

  it("a connection that says nothing is closed by the sniff's own timer", async () => {
    const clock = createManualClock();
    const port = echo({ clock, limits: { sniffMs: 1000 } });
    await port.start();
    const silent = raw(port);
    const half = raw(port);
    half.write("PRI");
    await Promise.all([once(silent, "connect"), once(half, "connect")]);
    await untilPending(clock, 2);
    const closed = Promise.all([once(silent, "close"), once(half, "close")]);
    await clock.advance(1001);
    await closed;
  });

  it("an HTTP/2 session without streams is closed after its idle time, one with a quiet stream is not", async () => {
    const clock = createManualClock();
    const open = Promise.withResolvers<void>();
    const port = echo({
      clock,
      limits: { sessionIdleMs: 1000 },
      handlers: {
        http1: () => undefined,
        http2: {
          requests: (_, response) => {
            response.writeHead(200);
            response.write("x");
            open.resolve();
          },
        },
      },
    });
    await port.start();
    const busy = session(port);
    busy.request({ ":path": "/" }).resume();
    await open.promise;
    const idle = session(port);
    await once(idle, "remoteSettings");
    const closed = once(idle, "close");
    await clock.advance(5000);
    await closed;
    expect(busy.closed).toBe(false);
  });

  it("a request whose headers or body stop coming is cut off, over both protocols", async () => {
    const port = echo({
      limits: { headersMs: 100, bodyMs: 400 },
      handlers: {
        http1: (request) => void request.resume(),
        http2: { streams: (stream) => void stream.resume() },
      },
    });
    await port.start();
    const head = exchange(port, "GET / HTTP/1.1\r\nHo");
    const body = exchange(port, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    const stream = session(port).request({ ":path": "/", ":method": "POST" });
    stream.on("error", () => undefined);
    stream.write("abc");
    expect(await head).toMatch(/^HTTP\/1\.1 408 /);
    expect(await body).toBe("");
    await once(stream, "close");
    expect(stream.rstCode).toBe(8);
  });

  it.each(["at once", "after a while"])(
    "a peer that does not read a reply which became whole %s loses its HTTP/1.1 connection",
    async (when) => {
      const gone = Promise.withResolvers<void>();
      const port = echo({
        limits: { bodyMs: 100 },
        handlers: {
          http1(request, response) {
            response.on("close", gone.resolve);
            response.write(MORE_THAN_BUFFERS_TAKE);
            if (when === "at once") response.end();
            else request.socket.once("timeout", () => response.end());
          },
          http2: { streams: () => undefined },
        },
      });
      await port.start();
      raw(port).write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await gone.promise;
    },
  );

  it("a peer that does not read whole replies loses its HTTP/2 connection", async () => {
    const clock = createManualClock();
    const replied = Promise.withResolvers<void>();
    const gone = Promise.withResolvers<void>();
    const port = echo({
      clock,
      limits: { sessionIdleMs: 1000 },
      handlers: {
        http1: () => undefined,
        http2: {
          streams(stream) {
            stream.session?.on("close", gone.resolve);
            stream.respond();
            stream.end(MORE_THAN_BUFFERS_TAKE);
            replied.resolve();
          },
        },
      },
    });
    await port.start();
    // It allows as much as can be said, and reads nothing.
    const bytes = [
      Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
      frame(FrameType.Settings, 0, 0, "00047fffffff"),
      frame(FrameType.WindowUpdate, 0, 0, "7fff0000"),
      // GET / of http://a, which ends headers and stream.
      frame(FrameType.Headers, 5, 1, "828486410161"),
    ];
    raw(port).write(Buffer.concat(bytes));
    await replied.promise;
    await clock.advance(2002);
    await gone.promise;
  });

  it("a stream whose whole reply is not read is reset, and its session goes on", async () => {
    const port = echo({
      limits: { bodyMs: 100 },
      handlers: {
        http1: () => undefined,
        http2: {
          streams(stream, headers) {
            stream.respond();
            stream.end(headers[":path"] === "/much" ? Buffer.alloc(1024 * 1024) : "little");
          },
        },
      },
    });
    await port.start();
    const client = session(port);
    const unread = client.request({ ":path": "/much" });
    unread.on("error", () => undefined);
    await once(unread, "close");
    expect(unread.rstCode).toBe(8);
    expect((await get(client, { ":path": "/" })).body).toBe("little");
  });

  it("a reply that goes on may be quiet for long, over both protocols", async () => {
    const goOn = (from: { on(event: "timeout", told: () => void): unknown }, reply: Writable) => {
      let timeouts = 0;
      reply.write("be");
      from.on("timeout", () => {
        if (++timeouts === 3) reply.end("gun");
      });
    };
    const port = echo({
      limits: { bodyMs: 50 },
      handlers: {
        http1: (request, response) => goOn(request.socket, response),
        http2: {
          streams(stream) {
            stream.respond();
            goOn(stream, stream);
          },
        },
      },
    });
    await port.start();
    const request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    expect(await exchange(port, request)).toMatch(/be\r\n.*gun\r\n0\r\n/s);
    expect((await get(session(port), { ":path": "/" })).body).toBe("begun");
  });

  it("a session without streams whose peer does not close either is cut off", async () => {
    const clock = createManualClock();
    const port = echo({ clock, limits: { sessionIdleMs: 1000 } });
    await port.start();
    const socket = raw(port);
    socket.allowHalfOpen = true;
    const goodbye = once(socket, "end");
    socket.resume();
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await once(socket, "data");
    await clock.advance(1001);
    await goodbye;
    await clock.advance(1001);
    while (!socket.destroyed) {
      socket.write(frame(FrameType.Settings, 0, 0, ""));
      await systemClock.yield();
    }
  });

  it.each([
    ["is ended", {}, true],
    ["goes on where that many are allowed", { streamResetBurst: 10_000, streamResetRate: 10_000 }, false],
  ])("a session that is used for nothing but resets %s", async (_, limits, isEnded) => {
    let arrived = 0;
    const handlers = {
      http1: () => undefined,
      http2: {
        streams(stream: ServerHttp2Stream, headers: IncomingHttpHeaders) {
          arrived++;
          if (headers[":path"] === "/last") stream.respond({}, { endStream: true });
        },
      },
    };
    const port = echo({ limits, handlers });
    await port.start();
    const client = session(port);
    for (let sent = 50; sent <= 3000 && !client.destroyed; sent += 50) {
      const streams = Array.from({ length: 50 }, () => client.request({ ":path": "/" }));
      for (const stream of streams) stream.on("error", () => undefined);
      await until(() => arrived === sent || client.destroyed);
      for (const stream of streams) stream.close(8);
    }
    if (isEnded) await until(() => client.destroyed);
    else expect((await get(client, { ":path": "/last" })).status).toBe(200);
  });

  it.each([
    ["is ended", {}, true],
    ["goes on where that many are allowed", { refusedStreams: 1000 }, false],
  ])("a session that asks for stream upon stream above its limit %s", async (_, limits, isEnded) => {
    // Replied to, and kept by the request that nobody reads.
    const streams = (stream: ServerHttp2Stream) => void stream.pause().respond({}, { endStream: true });
    const handlers = { http1: () => undefined, http2: { streams } };
    const port = echo({ limits: { streams: 1, ...limits }, handlers });
    await port.start();
    const client = session(port);
    const codes = new Set<number>();
    for (let asked = 0; asked < 200 && !client.destroyed; asked++) {
      const stream = client.request({ ":path": "/", ":method": "POST" });
      stream
        .on("error", () => undefined)
        .resume()
        .end("unread");
      await new Promise((resolve) => stream.on("close", resolve));
      codes.add(stream.rstCode);
    }
    expect(client.destroyed).toBe(isEnded);
    // ENHANCE_YOUR_CALM, as long as it goes on.
    expect(codes).toContain(11);
  });

  it("as many headers as fit into the limit are taken, over both protocols", async () => {
    const port = echo({ limits: { headerBytes: 16_384 } });
    await port.start();
    const names = Array.from({ length: 300 }, (_, i) => `x-${i}`);
    const lines = names.map((name) => `${name}: y\r\n`).join("");
    expect(await exchange(port, `GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines}\r\n`)).toContain(
      "1 /1",
    );
    const headers = Object.fromEntries(names.map((name) => [name, "y"]));
    expect((await get(session(port), { ":path": "/2", ...headers })).body).toBe("2 /2");
  });

  it("a taken port is refused with the setting's name", async () => {
    const first = echo();
    await first.start();
    const second = echo({ port: first.address().port });
    const refusal = await second.start().catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(StartupError);
    expect(refusal).toMatchObject({ exitCode: 1 });
    expect((refusal as Error).message).toContain("TEST_PORT");
  });

  it("a drain takes in nothing new, says goodbye to idle peers, and waits for what is in flight", async () => {
    const release = Promise.withResolvers<void>();
    let arrived = 0;
    const both = Promise.withResolvers<void>();
    const slow = async (end: () => void) => {
      if (++arrived === 2) both.resolve();
      await release.promise;
      end();
    };
    const port = echo({
      handlers: {
        http1: (_, response) => void slow(() => response.end("late 1")),
        http2: { requests: (_, response) => void slow(() => response.end("late 2")) },
      },
    });
    await port.start();
    const { port: number } = port.address();
    const client = session(port);
    const reply1 = new Promise<{ connection: string | undefined; body: string }>((resolve) => {
      http1Request({ port: number, host: "127.0.0.1" }, async (response) => {
        resolve({ connection: response.headers.connection, body: await text(response) });
      }).end();
    });
    const reply2 = get(client, { ":path": "/" });
    const undecided = raw(port);
    await both.promise;
    const goaway = once(client, "goaway");
    const closed = once(undecided, "close");
    let drained = false;
    const draining = port.drain(new AbortController().signal).then(() => {
      drained = true;
    });
    await goaway;
    await closed;
    const late = netConnect(number, "127.0.0.1");
    await expect(once(late, "connect")).rejects.toThrow("ECONNREFUSED");
    expect(drained).toBe(false);
    release.resolve();
    expect(await reply1).toEqual({ connection: "close", body: "late 1" });
    expect((await reply2).body).toBe("late 2");
    await draining;
  });

  it("a stop ends what a drain would wait for, and may come at any time", async () => {
    const arrived = Promise.withResolvers<void>();
    const port = echo({ handlers: { http1: () => arrived.resolve(), http2: { streams: () => undefined } } });
    await port.start();
    const pending = exchange(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await arrived.promise;
    const drain = port.drain(AbortSignal.abort(new Error("hurry")));
    await expect(drain).rejects.toThrow("hurry");
    await Promise.all([port.stop(), port.stop()]);
    expect(await pending).toBe("");
    const never = echo();
    const starting = never.start().catch(() => undefined);
    await never.stop();
    await starting;
  });
});

/** Waits until as many timers are set, which happens when connections were accepted. */
async function untilPending(clock: { readonly pending: number }, count: number): Promise<void> {
  for (let turn = 0; clock.pending < count && turn < 10_000; turn++) await systemClock.yield();
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await systemClock.yield();
}

const MORE_THAN_BUFFERS_TAKE = Buffer.alloc(64 * 1024 * 1024);

/** RFC 9113, section 6. */
const FrameType = { Headers: 1, Settings: 4, WindowUpdate: 8 } as const;

function frame(type: number, flags: number, streamId: number, payloadHex: string): Buffer {
  const payload = Buffer.from(payloadHex, "hex");
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}
