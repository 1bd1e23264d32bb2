import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { type BodySink, createLiveBody, readWhole } from "./request-body.ts";

function recorder(): BodySink & { readonly got: string[]; hasRoom: boolean } {
  const got: string[] = [];
  return {
    got,
    hasRoom: true,
    write(chunk) {
      got.push(chunk.toString());
      return this.hasRoom;
    },
    end: () => void got.push("<end>"),
  };
}

describe("a body that is passed on as it comes", () => {
  it("is given to a second sink from its first byte, and then to nobody else", async () => {
    const source = new PassThrough();
    const body = createLiveBody(source, 100);
    const [first, second] = [recorder(), recorder()];
    const leaveFirst = body.attach(first);
    source.write("a");
    await systemClock.yield();
    body.attach(second);
    // Whoever lets go of the first late takes nothing from the second.
    leaveFirst();
    source.end("b");
    await systemClock.yield();
    expect([first.got, second.got]).toEqual([["a"], ["a", "b", "<end>"]]);
  });

  it("waits while its sink has no room", async () => {
    const source = new PassThrough();
    const body = createLiveBody(source, 100);
    const sink = recorder();
    sink.hasRoom = false;
    body.attach(sink);
    source.write("a");
    await systemClock.yield();
    source.write("b");
    await systemClock.yield();
    expect(sink.got).toEqual(["a"]);
    sink.hasRoom = true;
    body.resume();
    await systemClock.yield();
    expect(sink.got).toEqual(["a", "b"]);
  });

  it("is kept up to its limit, and not at all beyond", async () => {
    const source = new PassThrough();
    const body = createLiveBody(source, 3);
    body.attach(recorder());
    source.write("abc");
    await systemClock.yield();
    expect(body.isKept).toBe(true);
    source.write("d");
    await systemClock.yield();
    expect(body.isKept).toBe(false);
  });
});

describe("a body read whole", () => {
  it.each([
    [["abc", "d"], 4, "abcd"],
    [[], 4, ""],
    [["abc", "de"], 4, undefined],
  ])("%j within %i bytes", async (chunks, maxBytes, expected) => {
    const source = new PassThrough();
    const outcome = new Promise<string | undefined>((resolve) => {
      readWhole(
        source,
        maxBytes,
        (whole) => resolve(whole.toString()),
        () => resolve(undefined),
      );
    });
    for (const chunk of chunks) source.write(chunk);
    source.end();
    expect(await outcome).toBe(expected);
  });
});
