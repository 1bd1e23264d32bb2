import { DatabaseSync } from "node:sqlite";
import { type NodeProcess, PATIENCE_MS } from "./node-process.ts";

/**
 * Lets nobody else write the SQLite file at `path` for as long as `act` takes. It waits for its turn first: whoever writes just
 * now is no reason to fail.
 */
export async function whileLocked(path: string, act: () => unknown): Promise<void> {
  const lock = new DatabaseSync(path, { timeout: PATIENCE_MS });
  try {
    lock.exec("BEGIN IMMEDIATE");
    await act();
    lock.exec("ROLLBACK");
  } finally {
    lock.close();
  }
}

/**
 * Freezes a process that writes the SQLite file at `path`, between two of its writes: SQLite's write lock is taken here
 * first. Frozen inside a write it would keep the lock, and nobody else could write until it wakes, which is another test.
 */
export async function freezeBetweenWrites(frozen: NodeProcess, path: string): Promise<void> {
  await whileLocked(path, () => frozen.freeze());
}
