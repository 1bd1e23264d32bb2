import { expect } from "vitest";
import type { Cases } from "./world.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export const metaCases: Cases = {
  "a deployment has one id, for every handle, and a database of its own another": async ({ open, store }) => {
    const fresh = await open();
    const meta = await fresh.store.meta();
    expect(meta.deploymentId).toMatch(UUID);
    expect(await fresh.peer.meta()).toEqual(meta);
    expect((await store.meta()).deploymentId).not.toBe(meta.deploymentId);
    expect(meta.oldestLevel).toBeLessThanOrEqual(meta.schemaVersion);
    expect(meta.keyFingerprint).toBeUndefined();
  },

  "the key's fingerprint is set only over the one that is expected": async ({ open }) => {
    const { store, peer } = await open();
    expect(await store.setKeyFingerprint("other", "f1")).toBe(false);
    expect(await store.setKeyFingerprint(undefined, "f1")).toBe(true);
    expect(await peer.setKeyFingerprint(undefined, "f2")).toBe(false);
    expect((await peer.meta()).keyFingerprint).toBe("f1");
    const winners = await Promise.all([
      store.setKeyFingerprint("f1", "f2"),
      peer.setKeyFingerprint("f1", "f3"),
    ]);
    expect(winners.filter(Boolean)).toHaveLength(1);
  },

  "the data key is 32 bytes, the same for every handle that asks, also at once": async ({ open, store }) => {
    const fresh = await open();
    const keys = await Promise.all([fresh.store.dataKey(), fresh.peer.dataKey(), fresh.store.dataKey()]);
    const texts = keys.map(({ key }) => Buffer.from(key).toString("hex"));
    expect(texts[0]).toHaveLength(64);
    expect(new Set(texts).size).toBe(1);
    expect(Buffer.from((await store.dataKey()).key).toString("hex")).not.toBe(texts[0]);
  },

  "a store that is open answers": async ({ store, peer }) => {
    await store.ping();
    await peer.ping();
  },
};
