import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { InvariantError } from "#pkg/errors/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import type { WorkerSettings } from "#pkg/worker/index.ts";

/** Those whose adapters this release has. */
export const STORES = ["spanner", "sqlite"] as const;

/**
 * The store that `DB_PROVIDER` names. Its adapter is loaded only now, so that no worker pays for a database that it does
 * not use.
 */
export async function chooseStore(
  settings: WorkerSettings,
  tools: { readonly clock: Clock; readonly entropy: Entropy; readonly log: Logger },
): Promise<JobStore> {
  switch (settings.DB_PROVIDER) {
    case "sqlite": {
      const { createSqliteStore } = await import("#pkg/store/sqlite/index.ts");
      return createSqliteStore({ path: settings.DB_PATH, ...tools });
    }
    case "spanner": {
      const { createSpannerStore } = await import("#pkg/store/spanner/index.ts");
      // The settings are required where they are asked for.
      const {
        DB_PROJECT_ID: project = "",
        DB_INSTANCE: instance = "",
        DB_DATABASE: database = "",
      } = settings;
      return createSpannerStore({ project, instance, database, ...tools });
    }
    default:
      throw new InvariantError(`${settings.DB_PROVIDER} was not refused with the settings`);
  }
}
