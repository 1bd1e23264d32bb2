import { describeJobStore } from "#pkg/store/conformance/index.ts";
import { describeOnSpanner, spannerStoreOf } from "#test/support/spanner-emulator.ts";

describeOnSpanner("spanner", (emulator) => {
  describeJobStore("spanner", async () => {
    const database = await emulator().createDatabase("migrated");
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
});
