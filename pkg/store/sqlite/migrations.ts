import { readdirSync, readFileSync } from "node:fs";
import { InvariantError } from "#pkg/errors/index.ts";

const FOLDER = new URL("../../../database/sqlite/migrations/", import.meta.url);

export interface Migration {
  /** Counted from 1 without a gap; the schema's version once it is applied. */
  readonly version: number;
  readonly name: string;
  readonly text: string;
}

/** The migrations of `database/sqlite/migrations`, in order. */
export function readMigrations(): readonly Migration[] {
  const names = readdirSync(FOLDER)
    .filter((name) => name.endsWith(".sql"))
    .sort();
  return names.map((name, index) => {
    const version = index + 1;
    if (!name.startsWith(`${String(version).padStart(4, "0")}_`)) {
      throw new InvariantError(`${name} should be migration ${version}: their numbers have no gaps`);
    }
    return { version, name, text: readFileSync(new URL(name, FOLDER), "utf8") };
  });
}
