import { once } from "node:events";
import { connect, createServer, type ServerHttp2Stream } from "node:http2";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import type { Caller } from "./caller.ts";
import { createHttp2Caller } from "./http2-caller.ts";

const open: { close(): void }[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.close();
});

/** A caller whose stream its client has reset. */
async function resetCaller(): Promise<{ caller: Caller; stream: ServerHttp2Stream; codes: number[] }> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const session = connect(`http://127.0.0.1:${port}`);
  open.push(server, session);
  const request = session.request({ ":method": "POST", ":path": "/", expect: "100-continue" });
  request.on("error", () => undefined);
  const [stream, headers, , rawHeaders] = await once(server, "stream");
  stream.on("error", () => undefined);
  const caller = createHttp2Caller(stream, headers, rawHeaders, systemClock);
  const codes: number[] = [];
  caller.onGone = (code) => codes.push(code);
  request.close(11);
  await new Promise<void>((resolve) => stream.once("close", () => resolve()));
  return { caller, stream, codes };
}

describe("a caller over HTTP/2 that has reset its stream", () => {
  it("is told of once, with its code, and a reply to it is let go", async () => {
    const { caller, codes } = await resetCaller();
    caller.invite();
    caller.head(200, ["a", "b"], false);
    // No drain will come.
    expect(caller.write(Buffer.from("late"))).toBe(true);
    caller.end(["grpc-status", "0"]);
    caller.reset(2);
    await systemClock.yield();
    expect(codes).toEqual([11]);
  });
});
