import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { makeFolder } from "#pkg/config/index.ts";
import { ExitCode, errorMessage, StartupError } from "#pkg/errors/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";

/** SQLite's result code for what another process has locked, extended ones included. */
const BUSY = 5;

/**
 * Takes the database for this cluster, since two clusters on one would have workers of the same names, which throw each other
 * out. Held in a file of its own, as `pkg/store/sqlite/file-lock.ts` does: the kernel lets go when this process ends, however.
 * @returns what gives it back.
 * @throws StartupError when another cluster has it, or the file cannot be made.
 */
export function lockDatabase(dbPath: string): () => void {
  let lock: DatabaseSync | undefined;
  try {
    makeFolder(dirname(dbPath));
    const held = new DatabaseSync(`${dbPath}.cluster`, { timeout: 0 });
    lock = held;
    held.exec("BEGIN EXCLUSIVE");
    return () => held.close();
  } catch (error) {
    lock?.close();
    throw new StartupError(wordsOf(dbPath, error), ExitCode.Config, { cause: error });
  }
}

function wordsOf(dbPath: string, error: unknown): string {
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  return code === BUSY
    ? `another cluster runs on ${dbPath}; stop it, or set DB_PATH to another file`
    : `DB_PATH: ${dbPath} cannot be used: ${errorMessage(error)}`;
}

/**
 * Tries out what every worker will, so that one that cannot be used is told once.
 * @throws StartupError
 */
export async function assertWorkdirUsable(
  workdir: string,
  tools: { readonly clock: Clock; readonly entropy: Entropy },
): Promise<void> {
  const { createLocalProvider } = await import("#pkg/batch/local/index.ts");
  const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
  const provider = createLocalProvider({ workdir, ...tools, log });
  await provider.start();
  await provider.stop();
}
