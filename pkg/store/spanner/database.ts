import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { openConnection, type Question, type Selector } from "./connection.ts";
import { type DatabaseName, unavailable } from "./faults.ts";
import { type Reader, readerOf } from "./reader.ts";
import { createRetry, type Persist } from "./retry.ts";
import { createSessions } from "./sessions.ts";
import { beginTransaction, type Transaction } from "./transaction.ts";

export interface Database extends Reader {
  /**
   * Runs `work` in a serializable transaction and commits what it wrote; runs it anew, on what is there then, as often as
   * Spanner aborts it. Resolves with what `work` resolved with the last time.
   * @param withinMs how long it is tried, where not as long as any operation.
   * @throws UnavailableError the commit may nevertheless have happened.
   */
  transact<T>(work: (transaction: Transaction) => Promise<T>, withinMs?: number): Promise<T>;
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
    transact(work, withinMs) {
      let previousId: Uint8Array | undefined;
      const persistSo: Persist = (attempt) => persist(attempt, withinMs);
      return sessions.inTurn(persistSo, (allowance) =>
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
