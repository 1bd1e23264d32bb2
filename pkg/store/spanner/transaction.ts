import { InvariantError } from "#pkg/errors/index.ts";
import {
  type Answer,
  type CommitToken,
  type Connection,
  laterToken,
  type Mutation,
  type Question,
  type Selector,
  type Session,
} from "./connection.ts";
import { isDoubtful, Remedy, remedyOf, unavailable } from "./faults.ts";
import { type Key, keySetOf, type Reader, readerOf, type Sql } from "./reader.ts";
import type { Allowance } from "./retry.ts";
import type { Bindings, Row } from "./values.ts";

/** One read-write transaction. What is written takes effect with its commit and is not seen by its own reads. */
export interface Transaction extends Reader {
  insert(table: string, row: Bindings): void;
  /** Sets the given columns of a row that must be there; the primary key is among them. */
  update(table: string, row: Bindings): void;
  delete(table: string, key: Key): void;
  /** Runs a statement that changes rows at once; later reads see what it did. */
  execute(statement: Sql): Promise<void>;
}

/** @param previousId of the try before: Spanner lets a transaction that was aborted often come first at last. */
export function beginTransaction(
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

function mustHave(id: Uint8Array | undefined): Uint8Array {
  if (id === undefined) throw new InvariantError("a transaction of Spanner begins with its first read");
  return id;
}
