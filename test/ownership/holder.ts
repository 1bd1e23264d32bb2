import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { JOB_LEVEL } from "#pkg/job/index.ts";
import { createGroup, createService, runProcess } from "#pkg/lifecycle/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createOwnership } from "#pkg/ownership/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";

/** A process that holds a term on a store and claims jobs, and does nothing with them but tell their ids, a line each. */
const {
  HOLDER_ID = "",
  HOLDER_DB = "",
  HOLDER_TARGET = "test/target",
  HOLDER_TTL_MS = "3000",
  HOLDER_FULL_SEARCH_MS = "60000",
} = process.env;

const log = createLogger({ level: LogLevel.Info, format: LogFormat.Json });
const store = createSqliteStore({ path: HOLDER_DB, clock: systemClock, entropy: systemEntropy, log });
const known = new Set<string>();
const ownership = createOwnership({
  store,
  clock: systemClock,
  log,
  workerId: HOLDER_ID,
  instance: Buffer.from(systemEntropy.bytes(8)).toString("hex"),
  description: {
    url: undefined,
    version: "test",
    level: JOB_LEVEL,
    targets: [HOLDER_TARGET],
    kinds: ["container"],
    capacity: 100_000,
  },
  ttlMs: Number(HOLDER_TTL_MS),
  claimIntervalMs: 1_000,
  fullSearchIntervalMs: Number(HOLDER_FULL_SEARCH_MS),
  load: () => known.size,
  onClaimed(jobs) {
    for (const { jobId, owner } of jobs) {
      known.add(jobId);
      process.stdout.write(`claimed ${jobId} ${owner?.term}\n`);
    }
  },
  onFound: () => undefined,
  onTermLost: () => known.clear(),
});

const storeService = createService({ name: "store", start: () => store.start(), stop: () => store.stop() });
process.exitCode = await runProcess({
  service: createGroup("holder", [storeService, ownership]),
  clock: systemClock,
  drainMs: 5_000,
  ended: ownership.ended,
  log,
});
