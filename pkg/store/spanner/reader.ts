import type { Question } from "./connection.ts";
import type { Bindings, Row, Typed } from "./values.ts";

declare const isSql: unique symbol;
/** The text of a statement, made by the tag below alone. */
export type Sql = string & { readonly [isSql]: true };

/** Tags a statement. It takes no values, so that SQL is never built from pieces. */
export function sql(strings: TemplateStringsArray): Sql {
  return strings.join("") as Sql;
}

/** A row's primary key, in the key's order. */
export type Key = readonly Typed[];

export interface Reader {
  query(statement: Sql, parameters?: Bindings): Promise<readonly Row[]>;
  /** The rows that are there, by primary key, in the key's order. Locks, inside a transaction, these rows alone. */
  read(table: string, columns: readonly string[], keys: readonly Key[]): Promise<readonly Row[]>;
}

/** @param ask sends one question and resolves with the rows. */
export function readerOf(ask: (question: Question) => Promise<readonly Row[]>): Reader {
  return {
    query: (statement, parameters = {}) => ask({ kind: "query", request: queryOf(statement, parameters) }),
    async read(table, columns, keys) {
      if (keys.length === 0) return [];
      return await ask({ kind: "read", request: { table, columns: [...columns], keySet: keySetOf(keys) } });
    },
  };
}

function queryOf(statement: Sql, parameters: Bindings) {
  const entries = Object.entries(parameters);
  return {
    sql: statement,
    params: { fields: Object.fromEntries(entries.map(([name, typed]) => [name, typed.value])) },
    paramTypes: Object.fromEntries(entries.map(([name, typed]) => [name, typeOf(typed)])),
  };
}

function typeOf({ code, isArray }: Typed) {
  return isArray ? { code: "ARRAY" as const, arrayElementType: { code } } : { code };
}

export function keySetOf(keys: readonly Key[]) {
  return { keys: keys.map((key) => ({ values: key.map((typed) => typed.value) })) };
}
