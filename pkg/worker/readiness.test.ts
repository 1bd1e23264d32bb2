import { describe, expect, it } from "vitest";
import { createManualClock } from "#pkg/clock/index.ts";
import { createReadiness, type ReadinessSources } from "./readiness.ts";

function readiness(changes: Partial<ReadinessSources> = {}) {
  const clock = createManualClock();
  const check = createReadiness({
    clock,
    isStarted: () => true,
    isDraining: () => false,
    owner: () => ({ workerId: "w", term: 1 }),
    ping: async () => undefined,
    ...changes,
  });
  return { clock, check };
}

describe("a worker", () => {
  it("with a term and a store is ready", async () => {
    expect(await readiness().check()).toEqual({ ready: true });
  });

  it.each<[string, Partial<ReadinessSources>]>([
    ["STARTING", { isStarted: () => false, owner: () => undefined }],
    ["DRAINING", { isDraining: () => true, isStarted: () => false }],
    ["TERM_NOT_HELD", { owner: () => undefined }],
    ["STORE_UNREACHABLE", { ping: () => Promise.reject(new Error("down")) }],
  ])("that is not ready says %s", async (reason, changes) => {
    expect(await readiness(changes).check()).toEqual({ ready: false, reason });
  });

  it("whose store hangs is not ready after a second, and asks it one thing at a time", async () => {
    let pings = 0;
    const { clock, check } = readiness({
      ping: () => {
        pings++;
        return new Promise(() => undefined);
      },
    });
    const answers = Promise.all([check(), check(), check()]);
    await clock.advance(1000);
    for (const answer of await answers) expect(answer).toEqual({ ready: false, reason: "STORE_UNREACHABLE" });
    expect(pings).toBe(1);
    expect(clock.pending).toBe(0);
  });
});
