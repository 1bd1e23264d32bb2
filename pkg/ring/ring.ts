import HashRing from "hashring";

/** Points of a worker on the ring are four times this. Said for each worker: what the library works out by itself rounds
 * differently at 7, 14, 28, 49 … workers, and then moves tenants that lost nothing. */
const VNODES = 160;

/** Orders that are remembered; a walk of a large ring costs more than the rest of a call's routing. */
const MAX_REMEMBERED = 4096;

export interface Ring {
  /** All workers, the tenant's own first, then those that take over in turn. Pure: the same tenant, the same order. */
  workersOf(tenantId: string): readonly string[];
}

/** @param names of all configured workers, ready or not, each once. An empty ring answers with nobody. */
export function createRing(names: readonly string[]): Ring {
  const servers = Object.fromEntries(names.map((name) => [name, { vnodes: VNODES }]));
  const ring = new HashRing(servers);
  const remembered = new Map<string, readonly string[]>();

  function walk(tenantId: string): readonly string[] {
    // Never `get`: it caches by key in a plain object, where a tenant called `__proto__` reaches Object.prototype.
    const order = names.length === 0 ? [] : ring.range(`t:${tenantId}`, names.length);
    if (remembered.size >= MAX_REMEMBERED) remembered.clear();
    remembered.set(tenantId, order);
    return order;
  }

  return { workersOf: (tenantId) => remembered.get(tenantId) ?? walk(tenantId) };
}
