import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { InvariantError } from "#pkg/errors/index.ts";
import {
  type Answer,
  type CommitToken,
  type Connection,
  laterToken,
  type Mutation,
  openConnection,
  type Question,
  type Selector,
  type Session,
} from "./connection.ts";
import { type DatabaseName, isDoubtful, Remedy, remedyOf, unavailable } from "./faults.ts";
import { type Allowance, createRetry } from "./retry.ts";
import { createSessions } from "./sessions.ts";
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

/** One read-write transaction. What is written takes effect with its commit and is not seen by its own reads. */
export interface Transaction extends Reader {
  insert(table: string, row: Bindings): void;
  /** Sets the given columns of a row that must be there; the primary key is among them. */
  update(table: string, row: Bindings): void;
  delete(table: string, key: Key): void;
  /** Runs a statement that changes rows at once; later reads see what it did. */
  execute(statement: Sql): Promise<void>;
}

export interface Database extends Reader {
  /**
   * Runs `work` in a serializable transaction and commits what it wrote; runs it anew, on what is there then, as often as
   * Spanner aborts it. Resolves with what `work` resolved with the last time.
   * @throws UnavailableError the commit may nevertheless have happened.
   */
  transact<T>(work: (transaction: Transaction) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface DatabaseOptions extends DatabaseName {
  readonly clock: Clock;
  readonly entropy: Entropy;
}

/** A single read sees all that was committed before it began. */
const STRONG: Selector = { singleUse: { readOnly: { strong: true } } };

export function openDatabase(options: DatabaseOptions): Database {
  const { clock, entropy } = options;
  const connection = openConnection(options);
  const sessions = createSessions(connection, clock);
  const retry = createRetry({ clock, entropy });
  const { persist } = retry;

  const ask = async (question: Question) => {
    const { rows } = await persist((allowance) =>
      sessions.read(allowance, (session) => connection.ask(question, session, STRONG, allowance.requestMs())),
    );
    return rows;
  };

  return {
    ...readerOf(ask),
    transact(work) {
      let previousId: Uint8Array | undefined;
      return sessions.inTurn(persist, (allowance) =>
        sessions.transact(allowance, async (session) => {
          const transaction = beginTransaction(connection, session, allowance, previousId);
          try {
            return await transaction.run(work);
          } finally {
            previousId = transaction.id ?? previousId;
          }
        }),
      );
    },
    async close() {
      // The client fails whatever it is still asked, and not always where the asker hears of it.
      await retry.close(unavailable("it is not open"));
      await connection.close();
    },
  };
}

/** @param previousId of the try before: Spanner lets a transaction that was aborted often come first at last. */
function beginTransaction(
  connection: Connection,
  session: Session,
  allowance: Allowance,
  previousId: Uint8Array | undefined,
) {
  const mutations: Mutation[] = [];
  let id: Uint8Array | undefined;
  let token: CommitToken | undefined;
  let executed = 0;
  /** The first request begins the transaction, so all others wait for its id. */
  let beginning: Promise<Answer> | undefined;

  async function ask(question: Question): Promise<readonly Row[]> {
    const first = beginning;
    const selector = first === undefined ? begin() : { id: await first.then(() => mustHave(id)) };
    const asking = connection.ask(question, session, selector, allowance.requestMs()).then((answer) => {
      id ??= answer.transactionId;
      token = laterToken(token, answer.commitToken);
      return answer;
    });
    beginning ??= asking;
    return (await asking).rows;
  }

  function begin(): Selector {
    const again = session.isMultiplexed && previousId !== undefined;
    return {
      begin: {
        // Weaker isolation does not look again at what was only read, and what is decided here rests on that.
        isolationLevel: "SERIALIZABLE",
        readWrite: {
          readLockMode: "PESSIMISTIC",
          ...(again && { multiplexedSessionPreviousTransactionId: previousId }),
        },
      },
    };
  }

  /**
   * Sent again while it is in doubt: unlike a commit without a transaction of its own, one of a transaction that was begun
   * is answered with what became of it, however often it comes.
   */
  async function commit(): Promise<void> {
    const transactionId = mustHave(id);
    for (let isInDoubt = false; ; ) {
      try {
        const request = { session: session.name, transactionId, mutations, precommitToken: token ?? null };
        const next = await connection.commit(request, allowance.requestMs());
        if (next === undefined) return;
        token = next;
      } catch (error) {
        // Only this says that it did not happen.
        if (remedyOf(error) === Remedy.Again) throw error;
        isInDoubt ||= isDoubtful(error);
        if (!isInDoubt) throw error;
        if (!isDoubtful(error) || allowance.isSpent)
          throw unavailable("whether the commit happened is not known", error);
        await allowance.pause();
      }
    }
  }

  /** Gives the locks back at once. They end by themselves too, so it matters little whether it is heard. */
  async function rollback(): Promise<void> {
    if (id !== undefined) {
      await connection.rollback(session, id, allowance.requestMs()).catch(() => undefined);
    }
  }

  const add = (kind: "insert" | "update", table: string, row: Bindings) => {
    const values = Object.values(row).map((typed) => typed.value);
    mutations.push({ [kind]: { table, columns: Object.keys(row), values: [{ values }] } });
  };

  const transaction: Transaction = {
    ...readerOf(ask),
    insert: (table, row) => add("insert", table, row),
    update: (table, row) => add("update", table, row),
    delete: (table, key) => {
      mutations.push({ delete: { table, keySet: keySetOf([key]) } });
    },
    async execute(statement) {
      await ask({ kind: "query", request: { sql: statement, seqno: ++executed } });
    },
  };

  return {
    get id() {
      return id;
    },
    async run<T>(work: (transaction: Transaction) => Promise<T>): Promise<T> {
      const result = await work(transaction).catch(async (error: unknown) => {
        if (remedyOf(error) !== Remedy.Again) await rollback();
        throw error;
      });
      // Reads alone need no commit: each held its lock until the last one was answered.
      await (mutations.length > 0 || executed > 0 ? commit() : rollback());
      return result;
    },
  };
}

function readerOf(ask: (question: Question) => Promise<readonly Row[]>): Reader {
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

function keySetOf(keys: readonly Key[]) {
  return { keys: keys.map((key) => ({ values: key.map((typed) => typed.value) })) };
}

function mustHave(id: Uint8Array | undefined): Uint8Array {
  if (id === undefined) throw new InvariantError("a transaction of Spanner begins with its first read");
  return id;
}
