import { describe, expect, it } from "vitest";
import { createManualClock } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import { STORE_REFUSED } from "#pkg/store/index.ts";
import { createReadiness, type ReadinessSources } from "./readiness.ts";

const away = new UnavailableError("STORE_UNAVAILABLE", "down");

function readiness(changes: Partial<ReadinessSources> = {}) {
  const clock = createManualClock();
  const check = createReadiness({
    clock,
    waitsFor: () => undefined,
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
    ["STARTING", { waitsFor: () => "STARTING", owner: () => undefined }],
    ["OPENING_STORE", { waitsFor: () => "OPENING_STORE", ping: () => Promise.reject(away) }],
    ["CHECKING_PROVIDER", { waitsFor: () => "CHECKING_PROVIDER", owner: () => undefined }],
    ["DRAINING", { isDraining: () => true, waitsFor: () => "STARTING" }],
    ["TERM_NOT_HELD", { owner: () => undefined }],
    ["STORE_UNREACHABLE", { ping: () => Promise.reject(away) }],
    ["STORE_REFUSES", { ping: () => Promise.reject(new UnavailableError(STORE_REFUSED, "no permission")) }],
    ["STORE_REFUSES", { ping: () => Promise.reject(new Error("no such table")) }],
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
