import { describe, expect, it } from "vitest";
import { createManualClock, createSeededEntropy, systemClock } from "#pkg/clock/index.ts";
import {
  createGroup,
  createLoop,
  createParallelGroup,
  createService,
  type Service,
  ServiceState,
} from "./index.ts";

/** A service that notes what is called, and yields a while in each part. */
function noted(name: string, seen: string[], fault?: "start" | "stop"): Service {
  const part = async (what: string) => {
    seen.push(`${what} ${name}`);
    await systemClock.yield();
    if (fault === what) throw new Error(`${name} cannot ${what}`);
  };
  return createService({
    name,
    start: () => part("start"),
    drain: () => part("drain"),
    stop: () => part("stop"),
  });
}

const signal = new AbortController().signal;

describe("service", () => {
  it("each part runs once, however often it is called", async () => {
    const seen: string[] = [];
    const service = noted("a", seen);
    await Promise.all([service.start(), service.start()]);
    await Promise.all([service.drain(signal), service.drain(signal)]);
    await Promise.all([service.stop(), service.stop()]);
    await service.stop();
    expect(seen).toEqual(["start a", "drain a", "stop a"]);
    expect(service.state).toBe(ServiceState.Stopped);
  });

  it("a start that fails takes back what it began and says why", async () => {
    const seen: string[] = [];
    const service = noted("a", seen, "start");
    await expect(service.start()).rejects.toThrow("a cannot start");
    expect(seen).toEqual(["start a", "stop a"]);
    await service.stop();
    expect(service.state).toBe(ServiceState.Stopped);
  });

  it("a stop during the start waits for it, and the start says that it was stopped", async () => {
    const seen: string[] = [];
    const service = noted("a", seen);
    const started = service.start();
    const outcome = expect(started).rejects.toThrow("was stopped");
    await service.stop();
    await outcome;
    expect(seen).toEqual(["start a", "stop a"]);
  });

  it("a stop before any start leaves nothing to start", async () => {
    const seen: string[] = [];
    const service = noted("a", seen);
    await service.stop();
    await expect(service.start()).rejects.toThrow("cannot be started");
    expect(seen).toEqual([]);
  });

  it("a stop waits for the drain", async () => {
    const seen: string[] = [];
    const release = Promise.withResolvers<void>();
    const service = createService({
      name: "a",
      start: async () => undefined,
      drain: () => release.promise.then(() => void seen.push("drained")),
      stop: async () => void seen.push("stopped"),
    });
    await service.start();
    const all = Promise.all([service.drain(signal), service.stop()]);
    release.resolve();
    await all;
    expect(seen).toEqual(["drained", "stopped"]);
  });

  it("a drain ends when its signal aborts, whatever it waits for, and the stop then ends that", async () => {
    const hurry = new AbortController();
    const release = Promise.withResolvers<void>();
    const service = createService({
      name: "a",
      start: async () => undefined,
      drain: () => release.promise,
      stop: async () => release.resolve(),
    });
    await service.start();
    const drained = expect(service.drain(hurry.signal)).rejects.toThrow("no time");
    const stopped = service.stop();
    hurry.abort(new Error("no time"));
    await drained;
    await stopped;
    await release.promise;
  });

  it("a drain whose signal has aborted already is not waited for", async () => {
    const service = createService({
      name: "a",
      start: async () => undefined,
      drain: () => new Promise(() => undefined),
    });
    await service.start();
    await expect(service.drain(AbortSignal.abort(new Error("no time")))).rejects.toThrow("no time");
    await service.stop();
  });

  it("starts, drains and stops at random from many sides end in STOPPED, with every part at most once", async () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = createSeededEntropy(seed);
      const seen: string[] = [];
      const group = createGroup("g", [
        noted("a", seen),
        noted("b", seen, seed % 5 === 0 ? "start" : undefined),
      ]);
      const calls = Array.from({ length: 12 }, async () => {
        for (let pause = Math.floor(random.uniform() * 6); pause > 0; pause -= 1) await systemClock.yield();
        const dice = random.uniform();
        if (dice < 0.5) await group.start();
        else if (dice < 0.75) await group.drain(signal);
        else await group.stop();
      });
      await Promise.allSettled(calls);
      await group.stop();
      expect(group.state).toBe(ServiceState.Stopped);
      expect(new Set(seen).size).toBe(seen.length);
      const begun = seen.filter((line) => line.startsWith("start")).map((line) => line.slice(6));
      const ended = seen.filter((line) => line.startsWith("stop")).map((line) => line.slice(5));
      expect(ended).toEqual(begun.toReversed());
    }
  });
});

describe("group", () => {
  it("starts in order, drains and stops in reverse", async () => {
    const seen: string[] = [];
    const group = createGroup("g", [noted("a", seen), noted("b", seen)]);
    await group.start();
    await group.drain(signal);
    await group.stop();
    expect(seen).toEqual(["start a", "start b", "drain b", "drain a", "stop b", "stop a"]);
  });

  it("one that fails to start stops those before it", async () => {
    const seen: string[] = [];
    const group = createGroup("g", [noted("a", seen), noted("b", seen, "start"), noted("c", seen)]);
    await expect(group.start()).rejects.toThrow("b cannot start");
    expect(seen).toEqual(["start a", "start b", "stop b", "stop a"]);
  });

  it.each([
    ["one after the other", createGroup],
    ["all at once", createParallelGroup],
  ])("a stop during a start of %s breaks off the start that is under way", async (_, create) => {
    const seen: string[] = [];
    const begun = Promise.withResolvers<void>();
    const held = createService({
      name: "held",
      start: (stopping) =>
        new Promise((_resolve, reject) => {
          stopping.addEventListener("abort", () => reject(stopping.reason));
          begun.resolve();
        }),
      stop: async () => void seen.push("stop held"),
    });
    const group = create("g", [noted("a", seen), createGroup("inner", [held])]);
    const outcome = expect(group.start()).rejects.toThrow("was stopped");
    await begun.promise;
    await group.stop();
    await outcome;
    expect(seen.toSorted()).toEqual(["start a", "stop a", "stop held"]);
  });

  it("one that fails to stop keeps no other running", async () => {
    const seen: string[] = [];
    const group = createGroup("g", [noted("a", seen), noted("b", seen, "stop")]);
    await group.start();
    await expect(group.stop()).rejects.toThrow("did not stop cleanly");
    expect(seen).toEqual(["start a", "start b", "stop b", "stop a"]);
  });
});

describe("loop", () => {
  it("rests between steps, and a wake ends the rest", async () => {
    const clock = createManualClock();
    let steps = 0;
    const loop = createLoop({
      name: "l",
      clock,
      intervalMs: () => 1_000,
      step: async () => {
        steps += 1;
      },
      onError: () => undefined,
    });
    await loop.start();
    await clock.advance(2_500);
    expect(steps).toBe(3);
    loop.wake();
    await clock.advance(0);
    expect(steps).toBe(4);
    await loop.stop();
    await clock.advance(5_000);
    expect(steps).toBe(4);
  });

  it("a drain that is cut off leaves the step to the stop, which aborts it", async () => {
    const hurry = new AbortController();
    const loop = createLoop({
      name: "l",
      clock: createManualClock(),
      intervalMs: () => 1_000,
      step: (stopping) =>
        new Promise((_, reject) => stopping.addEventListener("abort", () => reject(stopping.reason))),
      onError: () => undefined,
    });
    await loop.start();
    const drained = expect(loop.drain(hurry.signal)).rejects.toThrow("no time");
    hurry.abort(new Error("no time"));
    await drained;
    await loop.stop();
    expect(loop.state).toBe(ServiceState.Stopped);
  });

  it("a step that throws is told of and does not end the loop", async () => {
    const clock = createManualClock();
    const errors: unknown[] = [];
    const loop = createLoop({
      name: "l",
      clock,
      intervalMs: () => 1_000,
      step: () => Promise.reject(new Error("no")),
      onError: (error) => errors.push(error),
    });
    await loop.start();
    await clock.advance(1_500);
    expect(errors).toHaveLength(2);
    await loop.stop();
  });

  it("a wake during a step has another step follow at once", async () => {
    const clock = createManualClock();
    const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let steps = 0;
    const loop = createLoop({
      name: "l",
      clock,
      intervalMs: () => 60_000,
      step: () => gates[steps++]?.promise ?? Promise.resolve(),
      onError: () => undefined,
    });
    await loop.start();
    loop.wake();
    gates[0]?.resolve();
    await clock.advance(0);
    expect(steps).toBe(2);
    gates[1]?.resolve();
    await loop.stop();
  });
});
