import { openDatabase } from "./database.ts";
import { BUSY_WORDS, isBusy, unavailable } from "./faults.ts";
import { untilFree } from "./pause.ts";

/**
 * Runs `work` while no other process runs its own under the same path. Node has no `flock`, and a file that is made and
 * removed outlives its maker's crash; so the lock is an empty SQLite file of its own, opened exclusively: the kernel holds
 * it by process and lets go when that dies. The database itself cannot serve, since the switch to WAL changes its locks.
 */
export function withFileLock<T>(path: string, work: () => T): T {
  const lock = openDatabase(path, { readOnly: false });
  try {
    if (untilFree(() => tryLock(lock)) === undefined) throw unavailable(BUSY_WORDS);
    return work();
  } finally {
    lock.close();
  }
}

function tryLock(lock: { exec(text: string): void }): true | undefined {
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return true;
  } catch (error) {
    if (isBusy(error)) return undefined;
    throw error;
  }
}
