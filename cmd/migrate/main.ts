import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { ConfigError, loadEnvFile } from "#pkg/config/index.ts";
import { ExitCode, errorMessage, StartupError } from "#pkg/errors/index.ts";
import { migrateSpanner } from "./migrate-spanner.ts";
import { migrateSqlite } from "./migrate-sqlite.ts";
import { readStoreSettings } from "./settings.ts";

/** `npm run migrate`: brings the store's schema up to date; workers may run meanwhile. */
process.exitCode = await main();

async function main(): Promise<ExitCode> {
  try {
    loadEnvFile(process.env);
    const settings = readStoreSettings(process.env);
    const tools = { clock, entropy, say: (line: string) => void process.stdout.write(`${line}\n`) };
    if (settings.DB_PROVIDER === "sqlite") await migrateSqlite(settings, tools);
    else await migrateSpanner(settings, tools);
    return ExitCode.Ok;
  } catch (error) {
    const faults = error instanceof ConfigError ? error.faults : wordsOf(error);
    for (const fault of faults) process.stderr.write(`${fault}\n`);
    if (error instanceof ConfigError) return ExitCode.Config;
    return error instanceof StartupError ? error.exitCode : ExitCode.Failed;
  }
}

/** With what it came from, since nothing else is logged. */
function wordsOf(error: unknown): readonly string[] {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause === undefined ? [errorMessage(error)] : [errorMessage(error), `  ${errorMessage(cause)}`];
}
