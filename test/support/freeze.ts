import { DatabaseSync } from "node:sqlite";
import type { NodeProcess } from "./node-process.ts";

/**
 * Freezes a process that writes the SQLite file at `path`, between two of its writes: SQLite's write lock is taken here
 * first. Frozen inside a write it would keep the lock, and nobody else could write until it wakes, which is another test.
 */
export async function freezeBetweenWrites(frozen: NodeProcess, path: string): Promise<void> {
  const lock = new DatabaseSync(path, { timeout: 10_000 });
  try {
    lock.exec("BEGIN IMMEDIATE");
    await frozen.freeze();
    lock.exec("ROLLBACK");
  } finally {
    lock.close();
  }
}
