import { once } from "node:events";
import { type ClientHttp2Session, createServer, type ServerHttp2Stream } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { createHttp2Sessions, type Http2Sessions } from "./http2-sessions.ts";
import { visitHttp2 } from "./http2-visit.ts";
import type { VisitFailure } from "./visit.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** Sessions to a worker that replies "late" to `/late` once it is told to, and at once to all else. */
async function startWorker() {
  const late = Promise.withResolvers<void>();
  const server = createServer();
  server.on("stream", async (stream: ServerHttp2Stream, headers) => {
    stream.respond({ ":status": 200 });
    if (headers[":path"] === "/late") await late.promise;
    stream.end(String(headers[":path"]));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const url = new URL(`http://127.0.0.1:${port}`);
  const sessions = createHttp2Sessions(url, systemClock, 3000);
  open.push(server, { close: () => sessions.destroy() });
  return { url, sessions, late };
}

/** The reply's text; or the failure. */
function visit(sessions: Http2Sessions, url: URL, path: string): Promise<string | VisitFailure> {
  return new Promise((resolve) => {
    const call = { method: "POST", path, headers: [], body: Buffer.alloc(0) };
    let body = "";
    visitHttp2(sessions, url, systemClock, call, {
      head: () => undefined,
      data(chunk) {
        body += chunk;
      },
      end: () => resolve(body),
      failed: resolve,
    });
  });
}

describe("the sessions to a worker", () => {
  it("one whose stream ids ran out is used no more; the stream that got none was refused, open ones live on", async () => {
    const { url, sessions, late } = await startWorker();
    expect(await visit(sessions, url, "/first")).toBe("/first");
    const { session } = sessions.acquire();
    // Node has it, and its types have not.
    (session as ClientHttp2Session & { setNextStreamID(id: number): void }).setNextStreamID(2 ** 31 - 1);
    const last = visit(sessions, url, "/late");
    expect(await visit(sessions, url, "/none")).toMatchObject({ wasRefused: true });
    expect(sessions.acquire().session).not.toBe(session);
    expect(await visit(sessions, url, "/next")).toBe("/next");
    late.resolve();
    expect(await last).toBe("/late");
  });

  it("one that is retired before it is connected still carries the streams that it has", async () => {
    const { url, sessions } = await startWorker();
    const first = visit(sessions, url, "/first");
    sessions.retireAll();
    expect(await visit(sessions, url, "/next")).toBe("/next");
    expect(await first).toBe("/first");
  });
});
