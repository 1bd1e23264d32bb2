import { readdirSync, readFileSync } from "node:fs";
import { InvariantError } from "#pkg/errors/index.ts";

const FOLDER = new URL("../../../database/spanner/migrations/", import.meta.url);

export interface Migration {
  /** Counted from 1 without a gap; the schema's version once it is applied. */
  readonly version: number;
  readonly name: string;
  /** Changes of the schema, in order. Each may be run again. */
  readonly schema: readonly string[];
  /** Changes of rows (INSERT, UPDATE, DELETE), run once, with the change of the version. */
  readonly rows: readonly string[];
}

/** The migrations of `database/spanner/migrations`, in order. */
export function readMigrations(): readonly Migration[] {
  const names = readdirSync(FOLDER)
    .filter((name) => name.endsWith(".sql"))
    .sort();
  return names.map((name, index) => {
    const version = index + 1;
    if (!name.startsWith(`${String(version).padStart(4, "0")}_`)) {
      throw new InvariantError(`${name} should be migration ${version}: their numbers have no gaps`);
    }
    const statements = splitStatements(readFileSync(new URL(name, FOLDER), "utf8"));
    const changesRows = (statement: string) => /^(INSERT|UPDATE|DELETE)\b/i.test(statement);
    return {
      version,
      name: name.replace(/\.sql$/, ""),
      schema: statements.filter((statement) => !changesRows(statement)),
      rows: statements.filter(changesRows),
    };
  });
}

/** The statements of a file, without comments. No text of a migration holds `;` or `--`. */
export function splitStatements(file: string): readonly string[] {
  return file
    .replaceAll(/--.*$/gm, "")
    .split(";")
    .map((statement) => statement.trim())
    .filter((statement) => statement !== "");
}
