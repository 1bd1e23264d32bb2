import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import { createWorld, type World } from "#pkg/store/conformance/world.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";

export function storeAt(path: string): JobStore {
  const log = createLogger({ level: "warn", format: "json" });
  return createSqliteStore({ path, clock: systemClock, entropy: systemEntropy, log });
}

export function worldOf(store: JobStore): World {
  const stores = { store, peer: store, close: async () => {} };
  return createWorld(stores, async () => stores);
}

/** The value that this share of all values does not exceed. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
