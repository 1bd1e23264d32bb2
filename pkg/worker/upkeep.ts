import type { Clock } from "#pkg/clock/index.ts";
import { createLoop, type Loop } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";

const INTERVAL_MS = 600_000;
const BATCH = 500;

/** Has the store forget tombstones and idempotency keys whose time is over, batch by batch. Any worker may, at any time. */
export function createUpkeep(options: {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly log: Logger;
}): Loop {
  const { store, clock, log } = options;
  return createLoop({
    name: "upkeep",
    clock,
    intervalMs: () => INTERVAL_MS,
    async step(stopping) {
      let gone = BATCH;
      while (gone === BATCH && !stopping.aborted) gone = await store.purge(clock.nowMs(), BATCH);
    },
    onError: (error) => log.warn({ err: error }, "what is over could not be forgotten"),
  });
}
