import { once } from "node:events";
import { request as http1Request, type IncomingMessage } from "node:http";
import { constants } from "node:http2";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import {
  type Handlers,
  http2Session,
  rawSocket,
  startGateway,
  startUpstream,
  until,
  untilClosed,
} from "./support.ts";

const TENANT = "X-Tenant-Id: t\r\n";
const GRPC = { ":method": "POST", "content-type": "application/grpc", "x-tenant-id": "t", te: "trailers" };
const MIB = 1024 * 1024;

async function pair(handlers: Handlers, overrides = {}) {
  const upstream = await startUpstream("worker-1", handlers);
  const under = await startGateway([upstream], overrides);
  return { upstream, under };
}

/** The values of a header among names and values in turn. */
function valuesOf(raw: readonly string[], lowerName: string): string[] {
  return raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === lowerName);
}

/** One request on a connection of its own, everything that came back. */
function exchange(port: number, bytes: string): Promise<string> {
  const socket = rawSocket(port);
  socket.write(bytes);
  return untilClosed(socket);
}

/** What a worker hears over either version of HTTP of a request that says all of this. */
function expectPassedOn(raw: readonly string[]): void {
  expect(valuesOf(raw, "x-twice")).toEqual(["1", "2"]);
  expect(valuesOf(raw, "x-forwarded-host")).toEqual(["front.example:9"]);
  expect(valuesOf(raw, "x-forwarded-for")).toEqual(["9.9.9.9, 127.0.0.1"]);
  expect(valuesOf(raw, "x-forwarded-proto")).toEqual(["http"]);
  expect(valuesOf(raw, "te")).toEqual(["trailers"]);
  expect(valuesOf(raw, "traceparent")).toEqual(["00-aa-bb-01"]);
  expect(valuesOf(raw, "x-request-id")).toEqual(["r 1"]);
  expect(valuesOf(raw, "x-jennah-job-id")).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/)]);
}

describe("headers and trailers", () => {
  it("end-to-end headers pass as they are, duplicates too; hop-by-hop and internal ones do not", async () => {
    let raw: string[] = [];
    const { upstream, under } = await pair({
      http1(request, response) {
        raw = request.rawHeaders;
        request.resume().on("end", () => {
          const headers = ["Set-Cookie", "a=1", "Set-Cookie", "b=2", "X-Hop", "no", "Connection", "X-Hop"];
          response.writeHead(200, [...headers, "X-Request-Id", "theirs", "Content-Length", "2"]).end("ok");
        });
      },
    });
    const answer = await exchange(
      under.port,
      `POST /a/b HTTP/1.1\r\nHost: front.example:9\r\n${TENANT}X-Twice: 1\r\nX-Twice: 2\r\nX-Jennah-Job-Id: x\r\n` +
        "Connection: close, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=9\r\nTE: trailers, deflate\r\nX-Request-Id: r 1\r\n" +
        "traceparent: 00-aa-bb-01\r\nX-Forwarded-For: 9.9.9.9\r\nContent-Length: 3\r\n\r\nabc",
    );
    expectPassedOn(raw);
    expect(valuesOf(raw, "x-mine")).toEqual([]);
    expect(valuesOf(raw, "keep-alive")).toEqual([]);
    expect(valuesOf(raw, "host")).toEqual([upstream.url.host]);
    expect(answer.match(/set-cookie: [ab]=\d/gi)).toHaveLength(2);
    expect(answer).not.toMatch(/x-hop/i);
    expect(answer.match(/x-request-id: .*/gi)).toEqual(["x-request-id: r 1"]);
  });

  it("so they do over HTTP/2, where `:authority` becomes the worker's", async () => {
    let raw: string[] = [];
    const { upstream, under } = await pair({
      stream(stream, _headers, rawHeaders) {
        raw = rawHeaders;
        const headers = ["set-cookie", "a=1", "set-cookie", "b=2", "x-twice", "3", "x-twice", "4"];
        stream.respond([":status", "200", ...headers, "x-request-id", "theirs"], { endStream: true });
      },
    });
    const stream = http2Session(under.url).request(
      [
        ...[":method", "POST", ":path", "/a/b", ":authority", "front.example:9", ":scheme", "http"],
        ...["content-type", "application/grpc", "te", "trailers", "x-tenant-id", "t", "x-request-id", "r 1"],
        ...["x-twice", "1", "x-twice", "2", "x-jennah-job-id", "x", "traceparent", "00-aa-bb-01"],
        ...["x-forwarded-for", "9.9.9.9", "x-forwarded-host", "theirs"],
      ],
      { endStream: false },
    );
    stream.end();
    const [, , reply] = (await once(stream, "response")) as [unknown, number, string[]];
    expectPassedOn(raw);
    expect(valuesOf(raw, ":authority")).toEqual([upstream.url.host]);
    expect(valuesOf(raw, "host")).toEqual([]);
    expect(valuesOf(reply, "set-cookie")).toEqual(["a=1", "b=2"]);
    expect(valuesOf(reply, "x-twice")).toEqual(["3", "4"]);
    expect(valuesOf(reply, "x-request-id")).toEqual(["r 1"]);
  });

  it("trailers pass over HTTP/1.1 and HTTP/2, duplicates too, and a reply without any ends", async () => {
    const { under } = await pair({
      http1(request, response) {
        request.resume();
        response.writeHead(200, { Trailer: "X-End" });
        response.write("body");
        response.addTrailers([
          ["X-End", "1"],
          ["X-End", "2"],
        ]);
        response.end();
      },
      stream(stream, headers) {
        stream.resume();
        stream.respond({ ":status": 200 }, { waitForTrailers: headers[":path"] === "/with" });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-end": ["1", "2"] }));
        stream.end("body");
      },
    });
    const answer = await exchange(
      under.port,
      `POST /a HTTP/1.1\r\nHost: a\r\n${TENANT}TE: trailers\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    );
    expect(answer).toMatch(/4\r\nbody\r\n0\r\nx-end: 1\r\nx-end: 2\r\n\r\n$/i);

    const session = http2Session(under.url);
    const stream = session.request({ ...GRPC, ":path": "/with" });
    stream.end();
    const trailers = once(stream, "trailers");
    expect(await text(stream)).toBe("body");
    expect((await trailers)[0]).toMatchObject({ "grpc-status": "0", "x-end": "1, 2" });

    const plain = session.request({ ...GRPC, ":path": "/without" });
    plain.end();
    expect(await text(plain)).toBe("body");
    expect(plain.rstCode).toBe(0);
  });

  it("a reply of trailers alone stays one", async () => {
    const { under } = await pair({
      stream: (stream) => stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true }),
    });
    const stream = http2Session(under.url).request({ ...GRPC, ":path": "/a" });
    stream.end();
    const [headers, flags] = await once(stream, "response");
    expect(headers["grpc-status"]).toBe("5");
    expect(flags & constants.NGHTTP2_FLAG_END_STREAM).toBe(1);
  });

  it("the headers of a stream do not wait for its first message", async () => {
    const { under } = await pair({
      http1: (request, response) => {
        request.resume();
        response.writeHead(200).flushHeaders();
      },
      stream: (stream) => stream.respond({ ":status": 200 }),
    });
    const stream = http2Session(under.url).request({ ...GRPC, ":path": "/a" });
    expect((await once(stream, "response"))[0][":status"]).toBe(200);
    const socket = rawSocket(under.port);
    socket.write(
      `POST /a HTTP/1.1\r\nHost: a\r\n${TENANT}Content-Type: application/grpc\r\nContent-Length: 0\r\n\r\n`,
    );
    const [head] = (await once(socket, "data")) as [Buffer];
    expect(head.toString()).toMatch(/^HTTP\/1\.1 200 /);
  });

  it("a Connect call by GET passes with its query, and HEAD and 204 have no body", async () => {
    const { upstream, under } = await pair({
      http1: (request, response) => {
        if (request.url === "/none") response.writeHead(204).end();
        else response.writeHead(200, { "content-length": "2" }).end("ok");
      },
    });
    const get = "/s/M?connect=v1&encoding=json&message=%7B%7D";
    const line = (method: string, target: string) => `${method} ${target} HTTP/1.1\r\nHost: a\r\n${TENANT}`;
    expect(await exchange(under.port, `${line("GET", get)}Connection: close\r\n\r\n`)).toMatch(/\r\n\r\nok$/);
    expect(await exchange(under.port, `${line("HEAD", "/x")}Connection: close\r\n\r\n`)).toMatch(
      /content-length: 2[\s\S]*\r\n\r\n$/i,
    );
    expect(await exchange(under.port, `${line("GET", "/none")}Connection: close\r\n\r\n`)).toMatch(/ 204 /);
    expect(upstream.seen[0]?.target).toBe(get);
    const session = http2Session(under.url);
    for (const [method, path, status] of [
      ["GET", get, 200],
      ["HEAD", "/x", 200],
      ["GET", "/none", 204],
    ] as const) {
      const stream = session.request({ ":method": method, ":path": path, "x-tenant-id": "t" });
      const [headers] = await once(stream, "response");
      expect(headers[":status"]).toBe(status);
      expect(await text(stream)).toBe(path === get ? "ok" : "");
    }
  });
});

describe("bodies", () => {
  it.each(["HTTP/1.1", "HTTP/2"])(
    "a slow reader of a big stream holds the worker back, over %s",
    async (version) => {
      let sent = 0;
      const pump = (
        write: (chunk: Buffer) => boolean,
        onDrain: (go: () => void) => void,
        end: () => void,
      ) => {
        const go = () => {
          while (sent < 64 * MIB) {
            sent += 65_536;
            if (!write(Buffer.alloc(65_536))) return;
          }
          end();
        };
        onDrain(go);
        go();
      };
      const { under } = await pair({
        http1(request, response) {
          request.resume();
          response.writeHead(200);
          pump(
            (chunk) => response.write(chunk),
            (go) => response.on("drain", go),
            () => response.end(),
          );
        },
        stream(stream) {
          stream.respond({ ":status": 200 });
          pump(
            (chunk) => stream.write(chunk),
            (go) => stream.on("drain", go),
            () => stream.end(),
          );
        },
      });
      const reader = version === "HTTP/2" ? await readHttp2(under.url) : await readHttp1(under.url);
      reader.on("error", () => undefined);
      reader.pause();
      await untilStill(() => sent);
      // Socket buffers of the kernel and one buffer on each side; not the stream.
      expect(sent).toBeLessThan(48 * MIB);
      let got = 0;
      reader.on("data", (chunk: Buffer) => {
        got += chunk.length;
      });
      reader.resume();
      await once(reader, "end");
      expect(got).toBe(64 * MIB);
    },
  );

  it.each(["HTTP/1.1", "HTTP/2"])(
    "a worker that reads slowly holds the caller back, over %s",
    async (version) => {
      const { under } = await pair({
        http1: (request) => void request.pause(),
        stream: (stream) => void stream.pause(),
      });
      const headers = { ...GRPC, ":path": "/a" };
      const writer =
        version === "HTTP/2"
          ? http2Session(under.url).request(headers)
          : http1Request(`${under.url}/a`, {
              method: "POST",
              headers: { "x-tenant-id": "t", "content-type": "application/grpc" },
            });
      writer.on("error", () => undefined);
      let sent = 0;
      const go = () => {
        while (sent < 64 * MIB) {
          sent += 65_536;
          if (!writer.write(Buffer.alloc(65_536))) return;
        }
      };
      writer.on("drain", go);
      go();
      await untilStill(() => sent);
      expect(sent).toBeLessThan(48 * MIB);
      writer.destroy();
    },
  );

  it("a unary body of 2 MiB is refused unread where its length is told, and while it comes where it is not", async () => {
    const { upstream, under } = await pair({});
    const head = `POST /s/M HTTP/1.1\r\nHost: a\r\n${TENANT}Content-Type: application/json\r\n`;
    const told = await exchange(under.port, `${head}Connection: close\r\nContent-Length: ${2 * MIB}\r\n\r\n`);
    expect(told).toMatch(/^HTTP\/1\.1 429 [\s\S]*"code":"resource_exhausted"/);
    const socket = rawSocket(under.port);
    const answer = untilClosed(socket);
    socket.write(`${head}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n`);
    for (let i = 0; i < 32; i++) socket.write(`10000\r\n${"x".repeat(65_536)}\r\n`);
    socket.write("0\r\n\r\n");
    expect(await answer).toMatch(/^HTTP\/1\.1 429 [\s\S]*"code":"resource_exhausted"/);

    const session = http2Session(under.url);
    const stream = session.request({
      ":method": "POST",
      ":path": "/s/M",
      "content-type": "application/json",
      "x-tenant-id": "t",
    });
    stream.on("error", () => undefined);
    stream.end(Buffer.alloc(2 * MIB));
    expect((await once(stream, "response"))[0][":status"]).toBe(429);
    expect(await text(stream)).toContain("resource_exhausted");
    expect(upstream.seen).toEqual([]);
  });

  it("Expect: 100-continue is invited when the call is welcome, and answered when it is not", async () => {
    const { under } = await pair({
      http1: (request, response) => void text(request).then((body) => response.end(`got ${body}`)),
    });
    const head = `POST /s/M HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n`;
    const socket = rawSocket(under.port);
    socket.write(`${head}${TENANT}Connection: close\r\nContent-Length: 3\r\n\r\n`);
    const [invitation] = (await once(socket, "data")) as [Buffer];
    expect(invitation.toString()).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    const rest = untilClosed(socket);
    socket.write("abc");
    expect(await rest).toContain("got abc");

    const refused = await exchange(under.port, `${head}Content-Length: 3\r\n\r\n`);
    expect(refused).toMatch(/^HTTP\/1\.1 401 /);
    const large = await exchange(under.port, `${head}${TENANT}Content-Length: ${2 * MIB}\r\n\r\n`);
    expect(large).toMatch(/^HTTP\/1\.1 429 /);
    const stream = http2Session(under.url).request({ ...GRPC, ":path": "/a", expect: "100-continue" });
    await once(stream, "continue");
  });

  it.each(["application/grpc", "application/connect+json"])(
    "a reply before the body was read passes, %s",
    async (type) => {
      const { under } = await pair({
        http1: (_, response) => response.writeHead(200, { "content-length": "5" }).end("early"),
        stream(stream) {
          stream.respond({ ":status": 200 }, { waitForTrailers: true });
          stream.on("wantTrailers", () => {
            stream.sendTrailers({ "grpc-status": "8" });
            void systemClock.yield().then(() => stream.close(0));
          });
          stream.end("early");
        },
      });
      const socket = rawSocket(under.port);
      socket.write(
        `POST /a HTTP/1.1\r\nHost: a\r\n${TENANT}Content-Type: ${type}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n`,
      );
      const [head] = (await once(socket, "data")) as [Buffer];
      expect(head.toString()).toMatch(/^HTTP\/1\.1 200 [\s\S]*early$/);

      const stream = http2Session(under.url).request({ ...GRPC, "content-type": type, ":path": "/a" });
      stream.write("x");
      const trailers = once(stream, "trailers");
      expect(await text(stream)).toBe("early");
      expect((await trailers)[0]["grpc-status"]).toBe("8");
      await until(() => stream.closed);
      expect(stream.rstCode).toBe(0);
    },
  );
});

describe("ends", () => {
  it("a caller that goes away is told to the worker, over both versions", async () => {
    let gone = 0;
    let came = 0;
    const codes: number[] = [];
    const { under } = await pair({
      http1(request, response) {
        came++;
        request.resume();
        response.on("close", () => gone++);
      },
      stream(stream) {
        came++;
        stream.on("close", () => codes.push(stream.rstCode));
      },
    });
    const socket = rawSocket(under.port);
    socket.write(`POST /a HTTP/1.1\r\nHost: a\r\n${TENANT}Content-Length: 0\r\n\r\n`);
    await until(() => came === 1);
    socket.destroy();
    await until(() => gone === 1);
    const session = http2Session(under.url);
    for (const code of [8, 11, 5]) {
      const stream = session.request({ ...GRPC, ":path": "/a" });
      stream.on("error", () => undefined);
      const before = came;
      await until(() => came > before);
      stream.close(code);
    }
    await until(() => codes.length === 3);
    expect(codes).toEqual([8, 11, 5]);
    const unary = session.request({ ":method": "POST", ":path": "/a", "x-tenant-id": "t" });
    unary.on("error", () => undefined);
    unary.end();
    await until(() => came === 5);
    session.destroy();
    await until(() => gone === 2);
    await until(() => under.lines.filter((line) => line.fault === "caller_gone").length === 5);
  });

  it("the worker's reset code reaches the caller once its reply has begun", async () => {
    const { under } = await pair({
      stream(stream, headers) {
        stream.respond({ ":status": 200 });
        stream.write("x", () => stream.close(Number(headers["x-code"])));
      },
    });
    const session = http2Session(under.url);
    for (const code of [2, 8, 11, 13]) {
      const stream = session.request({ ...GRPC, ":path": "/a", "x-code": String(code) });
      stream.on("error", () => undefined);
      stream.resume();
      await closeOf(stream);
      expect(stream.rstCode).toBe(code);
    }
  });

  it("a reply cut short over HTTP/1.1 does not look whole, to callers of both versions", async () => {
    const { under } = await pair({
      http1(request, response) {
        request.resume();
        response.writeHead(200);
        response.write("half", () => request.socket.destroy());
      },
    });
    const answer = await exchange(
      under.port,
      `POST /a HTTP/1.1\r\nHost: a\r\n${TENANT}Content-Length: 0\r\n\r\n`,
    );
    expect(answer).toContain("half");
    expect(answer).not.toMatch(/0\r\n\r\n$/);
    const stream = http2Session(under.url).request({ ":method": "POST", ":path": "/a", "x-tenant-id": "t" });
    stream.on("error", () => undefined);
    stream.end();
    stream.resume();
    await closeOf(stream);
    expect(stream.rstCode).toBe(2);
  });

  it("a status above 599 and headers that cannot be passed on are answered, and end nothing else", async () => {
    const odd = await startUpstream("odd", {});
    const { under } = await pair({
      http1(request, response) {
        request.resume();
        response.writeHead(request.url === "/odd" ? 799 : 200).end("x");
      },
    });
    expect(odd.seen).toEqual([]);
    const session = http2Session(under.url);
    for (const [path, status] of [
      ["/odd", 500],
      ["/fine", 200],
    ] as const) {
      const stream = session.request({ ":method": "POST", ":path": path, "x-tenant-id": "t" });
      stream.end();
      expect((await once(stream, "response"))[0][":status"]).toBe(status);
      stream.resume();
      const answer = await exchange(
        under.port,
        `POST ${path} HTTP/1.1\r\nHost: a\r\n${TENANT}Connection: close\r\nContent-Length: 0\r\n\r\n`,
      );
      expect(answer).toContain(`HTTP/1.1 ${status} `);
    }
    const twice = rawSocket(under.port);
    twice.write(
      `POST /fine HTTP/1.1\r\nHost: a\r\n${TENANT}${TENANT}Content-Length: 0\r\nConnection: close\r\n\r\n`,
    );
    expect(await untilClosed(twice)).toContain("400 ");
  });

  it("the gateway's time for unary calls ends in deadline_exceeded; a stream has none", async () => {
    const { under } = await pair(
      {
        http1: (request, response) => {
          request.resume();
          if (request.url === "/half") response.writeHead(200, { "content-length": "9" }).flushHeaders();
        },
        stream: (stream) => stream.respond({ ":status": 200 }),
      },
      { unaryTimeoutMs: 3_000 },
    );
    const session = http2Session(under.url);
    const live = session.request({ ...GRPC, ":path": "/a" });
    await once(live, "response");
    const answer = await fetch(`${under.url}/a`, { method: "POST", headers: { "x-tenant-id": "t" } });
    expect(answer.status).toBe(504);
    expect(await answer.json()).toMatchObject({ code: "deadline_exceeded" });
    const half = fetch(`${under.url}/half`, { method: "POST", headers: { "x-tenant-id": "t" } });
    await expect(half.then((reply) => reply.text())).rejects.toThrow();
    expect(live.closed).toBe(false);
  });
});

describe("the caller's deadline", () => {
  const silent = { http1: (request: IncomingMessage) => void request.resume(), stream: () => undefined };

  it.each([
    ["Connect", 504, { "content-type": "application/json", "connect-timeout-ms": "200" }],
    ["gRPC-Web", 200, { "content-type": "application/grpc-web+proto", "grpc-timeout": "200m" }],
  ])("ends a call by %s where the worker is silent", async (_, status, headers) => {
    const { under } = await pair(silent);
    const reply = await fetch(`${under.url}/a`, {
      method: "POST",
      headers: { ...headers, "x-tenant-id": "t" },
      body: "",
    });
    expect(reply.status).toBe(status);
    expect(decodeURIComponent(await reply.text())).toContain("the caller's deadline");
  });

  it("ends a stream too", async () => {
    const { under } = await pair(silent);
    const stream = http2Session(under.url).request({ ...GRPC, ":path": "/a", "grpc-timeout": "200m" });
    const [headers] = await once(stream, "response");
    expect(headers["grpc-status"]).toBe("4");
  });

  it("says of a request that never came whole that nothing was done", async () => {
    const { under, upstream } = await pair(silent);
    const socket = rawSocket(under.port);
    socket.write(
      "POST /a HTTP/1.1\r\nHost: a\r\nX-Tenant-Id: t\r\nContent-Type: application/json\r\n" +
        "Connect-Timeout-Ms: 200\r\nContent-Length: 9\r\nConnection: close\r\n\r\n{",
    );
    expect(await untilClosed(socket)).toContain("nothing was done");
    expect(upstream.seen).toEqual([]);
  });
});

/** A stream's reply that has begun, and that nobody reads yet. */
async function readHttp2(url: string): Promise<Readable> {
  const stream = http2Session(url).request({ ...GRPC, ":path": "/a" });
  const [headers] = await once(stream, "response");
  expectWorkersOwn(headers);
  return stream;
}

async function readHttp1(url: string): Promise<Readable> {
  const headers = { "x-tenant-id": "t", "content-type": "application/grpc" };
  const request = http1Request(`${url}/a`, { method: "POST", headers });
  request.end();
  const [reply] = (await once(request, "response")) as [IncomingMessage];
  expectWorkersOwn(reply.headers);
  return reply;
}

/** The gateway's own refusal is a 200 as well, with gRPC's status beside it; after it nothing would come, and no end be seen. */
function expectWorkersOwn(headers: Readonly<Record<string, unknown>>): void {
  expect(headers["grpc-status"]).toBeUndefined();
}

/** `once` would reject with the error that comes before. */
function closeOf(stream: { once(event: "close", listener: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => {
    stream.once("close", () => resolve());
  });
}

/** Waits until a figure has stood still for a while of event loop turns, measured in what it takes to say so ten times. */
async function untilStill(figure: () => number): Promise<void> {
  let last = -1;
  for (let still = 0; still < 10; still = figure() === last ? still + 1 : 0) {
    last = figure();
    await systemClock.sleep(20);
  }
}
