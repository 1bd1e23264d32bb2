import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import { describeJobStore } from "#pkg/store/conformance/index.ts";
import { createSqliteStore } from "./index.ts";

describeJobStore("sqlite", async () => {
  const folder = await mkdtemp(join(tmpdir(), "jennah-store-"));
  const open = () =>
    createSqliteStore({
      path: join(folder, "jennah.db"),
      clock: systemClock,
      entropy: systemEntropy,
      log: createLogger({ level: "silent", format: "json" }),
    });
  const [store, peer] = [open(), open()];
  await Promise.all([store.start(), peer.start()]);
  return {
    store,
    peer,
    async close() {
      await Promise.all([store.stop(), peer.stop()]);
      await rm(folder, { recursive: true });
    },
  };
});
