import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { ConfigError } from "./config-error.ts";

/**
 * Adds what the working directory's `.env` says to `env`, if there is one; what is set already wins, empty or not.
 * @throws ConfigError when it is there and cannot be read.
 */
export function loadEnvFile(env: Record<string, string | undefined>): void {
  let text: string;
  try {
    text = readFileSync(".env", "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return;
    const words = error instanceof Error ? error.message : String(error);
    throw new ConfigError([`.env: must be a file that can be read; ${words}`], { cause: error });
  }
  for (const [name, value] of Object.entries(parseEnv(text))) env[name] ??= value;
}
