import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createOwnership, type Ownership } from "#pkg/ownership/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { DESCRIPTION } from "./description.ts";

const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
const never = new AbortController().signal;

let folder: string;
let store: JobStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-end-"));
  store = createSqliteStore({ path: join(folder, "jennah.db"), clock, entropy, log });
  await store.start();
});
afterEach(async () => {
  await store.stop();
  await rm(folder, { recursive: true });
});

/** Started on the store, with what stands between them when a term is to end. */
async function startWith(endTerm: JobStore["endTerm"]): Promise<Ownership> {
  const ownership = createOwnership({
    store: { ...store, endTerm },
    clock,
    log,
    workerId: "me",
    instance: "me-1",
    description: DESCRIPTION,
    ttlMs: 30_000,
    claimIntervalMs: 1_000,
    load: () => 0,
    onClaimed: () => undefined,
    onFound: () => undefined,
    onTermLost: () => undefined,
  });
  await ownership.start();
  return ownership;
}

async function isOver(): Promise<boolean | undefined> {
  return (await store.readWorkers()).find((row) => row.workerId === "me")?.over;
}

describe("the end of a term", () => {
  it.each([
    ["never came", false],
    ["was not answered", true],
  ])(
    "that %s is written by the stop after the drain, and nothing is trusted meanwhile",
    async (_, isDone) => {
      let asked = 0;
      const ownership = await startWith(async (owner, instance) => {
        asked += 1;
        if (asked > 1) return store.endTerm(owner, instance);
        if (isDone) await store.endTerm(owner, instance);
        throw new UnavailableError("STORE_UNAVAILABLE", "the store does not answer");
      });
      await expect(ownership.drain(never)).rejects.toThrow("does not answer");
      expect(await isOver()).toBe(isDone);
      expect(ownership.owner).toBeUndefined();
      expect(ownership.trustedForMs()).toBe(0);
      await ownership.stop();
      expect(await isOver()).toBe(true);
      expect(asked).toBe(2);
    },
  );

  it("that is under way when the drain is cut off is waited for by the stop, and asked for once", async () => {
    let asked = 0;
    const [arrived, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const ownership = await startWith(async (owner, instance) => {
      asked += 1;
      arrived.resolve();
      await release.promise;
      return store.endTerm(owner, instance);
    });
    const hurry = new AbortController();
    const drained = expect(ownership.drain(hurry.signal)).rejects.toThrow("no time");
    await arrived.promise;
    hurry.abort(new Error("no time"));
    await drained;
    const stopped = ownership.stop();
    release.resolve();
    await stopped;
    expect(await isOver()).toBe(true);
    expect(asked).toBe(1);
  });

  it("that was answered is not asked for again", async () => {
    let asked = 0;
    const ownership = await startWith((owner, instance) => {
      asked += 1;
      return store.endTerm(owner, instance);
    });
    await ownership.drain(never);
    await ownership.stop();
    expect(asked).toBe(1);
    expect(await isOver()).toBe(true);
  });
});
