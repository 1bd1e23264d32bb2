import type { Owner } from "#pkg/job/index.ts";
import type { BeginTerm, TermResult, WorkerRecord } from "#pkg/store/workers.ts";
import type { Database } from "./database.ts";
import { type Reader, sql } from "./reader.ts";
import { WORKER_COLUMNS, workerBindings, workerOf } from "./rows.ts";
import { type Bindings, flag, integer, text } from "./values.ts";

const READ_ALL = sql`SELECT * FROM Workers ORDER BY WorkerId`;

/** Current, not stale: a peer's term is expired by how often its beat was seen to stand still. */
export async function readWorkers(db: Reader): Promise<readonly WorkerRecord[]> {
  return (await db.query(READ_ALL)).map(workerOf);
}

/**
 * How long a begin is tried. A process that was killed in the middle of a transaction keeps its locks until Spanner ends that,
 * ten seconds after it was last used; who comes back under its name waits for it instead of ending over it. Milliseconds.
 */
const BEGIN_MS = 30_000;

export function beginTerm(db: Database, begin: BeginTerm): Promise<TermResult> {
  const { expected, ...description } = begin;
  const fresh = { over: false, beat: 1, load: 0, draining: false };
  return db.transact(async (transaction) => {
    const row = await readWorker(transaction, begin.workerId);
    if (row === undefined) {
      if (expected !== undefined) return { applied: false, row };
      const first: WorkerRecord = { ...description, ...fresh, term: 1, emptiedThrough: 0 };
      transaction.insert("Workers", workerBindings(first));
      return { applied: true, row: first };
    }
    const isAsExpected =
      row.term === expected?.term && row.instance === expected.instance && row.over === expected.over;
    const isOwnAlready = row.instance === begin.instance && !row.over;
    if (!isAsExpected || isOwnAlready) return { applied: false, row };
    const next: WorkerRecord = {
      ...description,
      ...fresh,
      term: row.term + 1,
      emptiedThrough: row.emptiedThrough,
    };
    transaction.update("Workers", workerBindings(next));
    return { applied: true, row: next };
  }, BEGIN_MS);
}

export function renewTerm(
  db: Database,
  owner: Owner,
  instance: string,
  now: { readonly load: number; readonly draining: boolean },
): Promise<TermResult> {
  return changeWorker(db, owner.workerId, (row) => {
    if (row.term !== owner.term || row.instance !== instance || row.over) return undefined;
    const beat = row.beat + 1;
    return {
      row: { ...row, ...now, beat },
      columns: {
        Beat: integer(beat),
        Load: integer(now.load),
        Intent: text(now.draining ? "LEAVE" : "SERVE"),
      },
    };
  });
}

export async function expireTerm(db: Database, owner: Owner, beat: number): Promise<boolean> {
  const { applied } = await changeWorker(db, owner.workerId, (row) =>
    row.term === owner.term && row.beat === beat && !row.over ? over(row) : undefined,
  );
  return applied;
}

export async function endTerm(db: Database, owner: Owner, instance: string): Promise<void> {
  await changeWorker(db, owner.workerId, (row) =>
    row.term === owner.term && row.instance === instance && !row.over ? over(row) : undefined,
  );
}

export async function markEmptied(db: Database, workerId: string, throughTerm: number): Promise<void> {
  await changeWorker(db, workerId, (row) => {
    const isOver = row.term > throughTerm || (row.term === throughTerm && row.over);
    if (!isOver || row.emptiedThrough >= throughTerm) return undefined;
    return {
      row: { ...row, emptiedThrough: throughTerm },
      columns: { EmptiedThrough: integer(throughTerm) },
    };
  });
}

interface Change {
  readonly row: WorkerRecord;
  readonly columns: Bindings;
}

function over(row: WorkerRecord): Change {
  return { row: { ...row, over: true }, columns: { IsOver: flag(true) } };
}

async function changeWorker(
  db: Database,
  workerId: string,
  changeOf: (row: WorkerRecord) => Change | undefined,
): Promise<TermResult> {
  return await db.transact(async (transaction) => {
    const row = await readWorker(transaction, workerId);
    const change = row && changeOf(row);
    if (change === undefined) return { applied: false, row };
    transaction.update("Workers", { WorkerId: text(workerId), ...change.columns });
    return { applied: true, row: change.row };
  });
}

async function readWorker(db: Reader, workerId: string): Promise<WorkerRecord | undefined> {
  const [row] = await db.read("Workers", WORKER_COLUMNS, [[text(workerId)]]);
  return row && workerOf(row);
}
