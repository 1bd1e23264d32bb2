import { afterAll, beforeAll, it } from "vitest";
import { describeJobStore } from "#pkg/store/conformance/index.ts";
import {
  findSpannerEmulator,
  NO_EMULATOR,
  type SpannerEmulator,
  spannerStoreOf,
  startSpannerEmulator,
} from "#test/support/spanner-emulator.ts";

const program = findSpannerEmulator();
if (program === undefined) it.skip(`spanner as a JobStore (${NO_EMULATOR})`);
else {
  let emulator: SpannerEmulator;
  beforeAll(async () => {
    emulator = await startSpannerEmulator(program);
  });
  afterAll(() => emulator.stop());

  describeJobStore("spanner", async () => {
    const database = await emulator.createDatabase("migrated");
    const [store, peer] = [spannerStoreOf(database), spannerStoreOf(database)];
    await Promise.all([store.start(), peer.start()]);
    return {
      store,
      peer,
      close: async () => {
        await Promise.all([store.stop(), peer.stop()]);
      },
    };
  });
}
