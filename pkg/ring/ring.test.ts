import fc from "fast-check";
import HashRing from "hashring";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createRing } from "./index.ts";

const namesOf = (count: number) => Array.from({ length: count }, (_, i) => `worker-${i + 1}`);
const tenants = Array.from({ length: 400 }, (_, i) => `tenant-${i}`);
const tenantId = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

describe("ring", () => {
  it("only the lost share of tenants moves, of however many workers, whichever is lost", () => {
    // The numbers at which the library's own count of points goes wrong are few; see `VNODES`.
    const counts = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(7, 8, 14, 15, 28, 29, 49, 50));
    const losses = counts.chain((count) => fc.tuple(fc.constant(count), fc.nat(count - 1)));
    fc.assert(
      fc.property(losses, fc.array(tenantId, { minLength: 20, maxLength: 40 }), ([count, index], ids) => {
        const names = namesOf(count);
        const lost = names[index];
        const all = createRing(names);
        const fewer = createRing(names.filter((name) => name !== lost));
        for (const id of ids) {
          expect(fewer.workersOf(id)).toEqual(all.workersOf(id).filter((name) => name !== lost));
        }
      }),
      { seed: 7, numRuns: 60 },
    );
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

  it("the library's `get`, which remembers keys in a plain object, is never called", () => {
    const get = vi.spyOn(HashRing.prototype, "get");
    onTestFinished(() => get.mockRestore());
    const ring = createRing(namesOf(3));
    for (const tenant of [...tenants, "__proto__"]) ring.workersOf(tenant);
    expect(get).not.toHaveBeenCalled();
  });

  it("worker names made of addresses keep their words", () => {
    const names = ["10.0.0.1:8081", "10.0.0.2:8081", "host:80", "[::1]:8081"];
    expect([...createRing(names).workersOf("a")].sort()).toEqual([...names].sort());
    expect(createRing([]).workersOf("a")).toEqual([]);
  });
});

const ownNames = Object.getOwnPropertyNames(Object.prototype);
