import type { Clock, Entropy } from "#pkg/clock/index.ts";
import type { StoreSettings } from "./settings.ts";

/** What a migration is done with, and where it tells how far it is. */
export interface MigrateTools {
  readonly clock: Clock;
  readonly entropy: Entropy;
  say(line: string): void;
}

/** Migrates the Spanner database that the settings name. @throws StartupError */
export async function migrateSpanner(
  settings: StoreSettings,
  { clock, entropy, say }: MigrateTools,
): Promise<void> {
  const { migrate } = await import("#pkg/store/spanner/index.ts");
  // The settings are required where they are asked for.
  const { DB_PROJECT_ID: project = "", DB_INSTANCE: instance = "", DB_DATABASE: database = "" } = settings;
  say(`Spanner ${project}/${instance}/${database}`);
  const startMs = clock.monotonicMs();
  const { from, to } = await migrate({
    project,
    instance,
    database,
    clock,
    entropy,
    onProgress: ({ name, done, of }) => {
      const seconds = ((clock.monotonicMs() - startMs) / 1_000).toFixed(1);
      say(
        `  ${name.padEnd(24)} ${String(done).padStart(3)} of ${String(of).padStart(3)} ${seconds.padStart(8)} s`,
      );
    },
  });
  say(from === to ? `  schema ${to}, up to date already` : `  schema ${to}, up to date; was ${from}`);
}
