import type { Owner } from "#pkg/job/index.ts";
import type { BeginTerm, JobStore, TermResult, WorkerRecord } from "#pkg/store/index.ts";
import { compare, type ModelState } from "./model-state.ts";

export function readWorkers(state: ModelState): readonly WorkerRecord[] {
  return [...state.workers.values()].sort((a, b) => compare(a.workerId, b.workerId));
}

export function beginTerm(state: ModelState, begin: BeginTerm): TermResult {
  const { expected } = begin;
  const row = state.workers.get(begin.workerId);
  if (row === undefined && expected === undefined) return applied(state, reignOf(begin, 1, 0));
  if (row === undefined) return unchanged(row);
  if (row.term !== expected?.term) return unchanged(row);
  if (row.instance !== expected?.instance) return unchanged(row);
  if (row.over !== expected?.over) return unchanged(row);
  if (row.instance === begin.instance && !row.over) return unchanged(row);
  return applied(state, reignOf(begin, row.term + 1, row.emptiedThrough));
}

export function renewTerm(
  state: ModelState,
  owner: Owner,
  instance: string,
  now: Parameters<JobStore["renewTerm"]>[2],
): TermResult {
  const row = state.workers.get(owner.workerId);
  if (row === undefined) return unchanged(row);
  if (row.term !== owner.term) return unchanged(row);
  if (row.instance !== instance) return unchanged(row);
  if (row.over) return unchanged(row);
  return applied(state, { ...row, beat: row.beat + 1, load: now.load, draining: now.draining });
}

export function expireTerm(state: ModelState, owner: Owner, beat: number): boolean {
  const row = state.workers.get(owner.workerId);
  if (row === undefined) return false;
  if (row.term !== owner.term) return false;
  if (row.beat !== beat) return false;
  if (row.over) return false;
  state.workers.set(row.workerId, { ...row, over: true });
  return true;
}

export function endTerm(state: ModelState, owner: Owner, instance: string): void {
  const row = state.workers.get(owner.workerId);
  if (row === undefined) return;
  if (row.term !== owner.term) return;
  if (row.instance !== instance) return;
  state.workers.set(row.workerId, { ...row, over: true });
}

export function markEmptied(state: ModelState, workerId: string, throughTerm: number): void {
  const row = state.workers.get(workerId);
  if (row === undefined) return;
  if (row.emptiedThrough >= throughTerm) return;
  if (row.term < throughTerm) return;
  if (row.term === throughTerm && !row.over) return;
  state.workers.set(workerId, { ...row, emptiedThrough: throughTerm });
}

/** The row at the beginning of a term. */
function reignOf(begin: BeginTerm, term: number, emptiedThrough: number): WorkerRecord {
  const { expected: _, ...described } = begin;
  return { ...described, term, over: false, beat: 1, emptiedThrough, load: 0, draining: false };
}

function applied(state: ModelState, row: WorkerRecord): TermResult {
  state.workers.set(row.workerId, row);
  return { applied: true, row };
}

function unchanged(row: WorkerRecord | undefined): TermResult {
  return { applied: false, row };
}
