import { statSync } from "node:fs";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

/** What is bound to the names (`:tenant`) of a statement. */
export type Bindings = Record<string, SQLInputValue>;
export type Row = Record<string, unknown>;

/** One connection, with each statement prepared once. */
export interface Database {
  get(text: Sql, bindings?: Bindings): Row | undefined;
  all(text: Sql, bindings?: Bindings): Row[];
  /** Rows one by one; `lane` lets one statement be read several times at once. */
  iterate(text: Sql, bindings: Bindings, lane: number): IterableIterator<Row>;
  /** Tells how many rows changed. */
  run(text: Sql, bindings?: Bindings): number;
  /** Runs statements that return nothing, unprepared. */
  exec(text: string): void;
  readonly isTransaction: boolean;
  /** Whether its file is still the one at its path: what is written to a file that was removed is lost with the process. */
  readonly isInPlace: boolean;
  close(): void;
}

/** A database without a file, which ends with its connection. */
export const MEMORY = ":memory:";

declare const isSql: unique symbol;
/** The text of a statement, made by the tag below alone. */
export type Sql = string & { readonly [isSql]: true };

/** Tags a statement. It takes no values, so that SQL is never built from pieces. */
export function sql(text: TemplateStringsArray): Sql {
  return text.join("") as Sql;
}

/**
 * Opens a connection. Its own busy waiting is off (`timeout: 0`): SQLite's waits grow to 100 ms and favour whoever comes
 * last, so waiting is done where the order is known, in `write-queue.ts`.
 */
export function openDatabase(path: string, options: { readonly readOnly: boolean }): Database {
  const connection = new DatabaseSync(path, {
    readOnly: options.readOnly,
    timeout: 0,
    enableForeignKeyConstraints: true,
  });
  const statements = new Map<string, StatementSync>();
  const opened = path === MEMORY ? undefined : identityOf(path);

  function prepared(text: Sql, lane = 0): StatementSync {
    const key = lane === 0 ? text : `${lane} ${text}`;
    const known = statements.get(key);
    if (known !== undefined) return known;
    const statement = connection.prepare(text);
    statements.set(key, statement);
    return statement;
  }

  return {
    get: (text, bindings = {}) => prepared(text).get(bindings) as Row | undefined,
    all: (text, bindings = {}) => prepared(text).all(bindings) as Row[],
    iterate: (text, bindings, lane) => prepared(text, lane).iterate(bindings) as IterableIterator<Row>,
    run: (text, bindings = {}) => Number(prepared(text).run(bindings).changes),
    exec: (text) => connection.exec(text),
    get isTransaction() {
      return connection.isTransaction;
    },
    get isInPlace() {
      return opened === undefined || opened === identityOf(path);
    },
    close() {
      if (connection.isOpen) connection.close();
    },
  };
}

/** Which file there is at a path. */
function identityOf(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  return found === undefined ? "none" : `${found.dev}/${found.ino}`;
}
