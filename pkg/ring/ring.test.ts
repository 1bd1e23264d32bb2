import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createRing } from "./index.ts";

const namesOf = (count: number) => Array.from({ length: count }, (_, i) => `worker-${i + 1}`);
const tenants = Array.from({ length: 400 }, (_, i) => `tenant-${i}`);
const tenantId = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

describe("ring", () => {
  it.each([2, 3, 6, 7, 8, 14, 28, 49])("of %i workers: only the lost share of tenants moves", (count) => {
    const names = namesOf(count);
    const all = createRing(names);
    const lost = names[count >> 1];
    const fewer = createRing(names.filter((name) => name !== lost));
    for (const tenant of tenants) {
      const before = all.workersOf(tenant);
      const after = fewer.workersOf(tenant);
      expect(after).toEqual(before.filter((name) => name !== lost));
    }
  });

  it("every tenant gets every worker once, in the same order each time", () => {
    const ring = createRing(namesOf(7));
    fc.assert(
      fc.property(tenantId, (tenant) => {
        const order = ring.workersOf(tenant);
        expect([...order].sort()).toEqual(namesOf(7).sort());
        expect(createRing(namesOf(7).reverse()).workersOf(tenant)).toEqual(order);
        expect(ring.workersOf(tenant)).toEqual(order);
      }),
      { numRuns: 50 },
    );
  });

  it("the load is spread: no worker of 7 has more than twice its share", () => {
    const ring = createRing(namesOf(7));
    const counts = new Map<string, number>();
    for (const tenant of tenants) {
      const first = ring.workersOf(tenant)[0] ?? "";
      counts.set(first, (counts.get(first) ?? 0) + 1);
    }
    expect(Math.max(...counts.values())).toBeLessThan((2 * tenants.length) / 7);
  });

  it.each(["__proto__", "constructor", "toString", "hasOwnProperty"])(
    "a tenant called %s is harmless",
    (name) => {
      const ring = createRing(namesOf(3));
      expect(ring.workersOf(name)).toHaveLength(3);
      expect(Object.getOwnPropertyNames(Object.prototype)).toEqual(ownNames);
      expect(({} as Record<string, unknown>)["worker-1"]).toBeUndefined();
    },
  );

  it("worker names made of addresses keep their words", () => {
    const names = ["10.0.0.1:8081", "10.0.0.2:8081", "host:80", "[::1]:8081"];
    expect([...createRing(names).workersOf("a")].sort()).toEqual([...names].sort());
    expect(createRing([]).workersOf("a")).toEqual([]);
  });
});

const ownNames = Object.getOwnPropertyNames(Object.prototype);
