import { createLogger } from "#pkg/log/index.ts";
import type { MigrateTools } from "./migrate-spanner.ts";
import type { StoreSettings } from "./settings.ts";

/** A worker that opens the file brings it up to date; so does this. @throws StartupError */
export async function migrateSqlite(
  { DB_PATH }: StoreSettings,
  { clock, entropy, say }: MigrateTools,
): Promise<void> {
  const { createSqliteStore } = await import("#pkg/store/sqlite/index.ts");
  const log = createLogger({ level: "error", format: "pretty" });
  const store = createSqliteStore({ path: DB_PATH, clock, entropy, log });
  say(`SQLite ${DB_PATH}`);
  try {
    await store.start();
    say(`  schema ${(await store.meta()).schemaVersion}, up to date`);
  } finally {
    await store.stop();
  }
}
