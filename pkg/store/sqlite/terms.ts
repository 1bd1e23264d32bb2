import type { Owner } from "#pkg/job/index.ts";
import type { BeginTerm, TermResult, WorkerRecord } from "#pkg/store/workers.ts";
import { type Bindings, type Database, type Sql, sql } from "./database.ts";
import { workerOf } from "./rows.ts";

const READ = sql`SELECT * FROM workers WHERE worker_id = :worker`;
const READ_ALL = sql`SELECT * FROM workers ORDER BY worker_id`;

const BEGIN_FIRST = sql`
  INSERT INTO workers (worker_id, term, over, beat, emptied_through, instance, url, version, level, targets, kinds, intent,
    capacity, load)
  VALUES (:worker, 1, 0, 1, 0, :instance, :url, :version, :level, :targets, :kinds, 'SERVE', :capacity, 0)
  ON CONFLICT DO NOTHING`;

const BEGIN_NEXT = sql`
  UPDATE workers SET term = term + 1, over = 0, beat = 1, instance = :instance, url = :url, version = :version,
    level = :level, targets = :targets, kinds = :kinds, intent = 'SERVE', capacity = :capacity, load = 0
  WHERE worker_id = :worker AND term = :expectedTerm AND instance = :expectedInstance AND over = :expectedOver
    AND NOT (instance = :instance AND over = 0)`;

const RENEW = sql`
  UPDATE workers SET beat = beat + 1, load = :load, intent = :intent
  WHERE worker_id = :worker AND term = :term AND instance = :instance AND over = 0`;

const EXPIRE = sql`
  UPDATE workers SET over = 1 WHERE worker_id = :worker AND term = :term AND beat = :beat AND over = 0`;

const END = sql`
  UPDATE workers SET over = 1 WHERE worker_id = :worker AND term = :term AND instance = :instance AND over = 0`;

const MARK_EMPTIED = sql`
  UPDATE workers SET emptied_through = :through
  WHERE worker_id = :worker AND emptied_through < :through AND (term > :through OR (term = :through AND over = 1))`;

export function readWorkers(db: Database): readonly WorkerRecord[] {
  return db.all(READ_ALL).map(workerOf);
}

export function beginTerm(db: Database, begin: BeginTerm): TermResult {
  const description = {
    worker: begin.workerId,
    instance: begin.instance,
    url: begin.url ?? null,
    version: begin.version,
    level: begin.level,
    targets: JSON.stringify(begin.targets),
    kinds: JSON.stringify(begin.kinds),
    capacity: begin.capacity,
  };
  const { expected } = begin;
  if (expected === undefined) return write(db, BEGIN_FIRST, description);
  return write(db, BEGIN_NEXT, {
    ...description,
    expectedTerm: expected.term,
    expectedInstance: expected.instance,
    expectedOver: expected.over ? 1 : 0,
  });
}

export function renewTerm(
  db: Database,
  owner: Owner,
  instance: string,
  now: { readonly load: number; readonly draining: boolean },
): TermResult {
  const intent = now.draining ? "LEAVE" : "SERVE";
  return write(db, RENEW, { worker: owner.workerId, term: owner.term, instance, load: now.load, intent });
}

export function expireTerm(db: Database, owner: Owner, beat: number): boolean {
  return db.run(EXPIRE, { worker: owner.workerId, term: owner.term, beat }) > 0;
}

export function endTerm(db: Database, owner: Owner, instance: string): void {
  db.run(END, { worker: owner.workerId, term: owner.term, instance });
}

export function markEmptied(db: Database, workerId: string, throughTerm: number): void {
  db.run(MARK_EMPTIED, { worker: workerId, through: throughTerm });
}

function write(db: Database, text: Sql, bindings: Bindings): TermResult {
  const applied = db.run(text, bindings) > 0;
  const row = db.get(READ, { worker: bindings.worker ?? null });
  return { applied, row: row && workerOf(row) };
}
