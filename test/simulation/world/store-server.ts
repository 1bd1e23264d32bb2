import type { JobRef } from "#pkg/job/index.ts";
import type { Agenda } from "#test/simulation/kernel/agenda.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";
import type { OperationName, StoreCore } from "#test/simulation/store/core.ts";

/** One operation as a process asks for it. */
export type StoreCall = {
  readonly [N in OperationName]: {
    readonly name: N;
    readonly args: Parameters<StoreCore[N]>;
    readonly from: SimProcess;
  };
}[OperationName];

/** What the database did. A thrown error is an answer like any other. */
export type StoreAnswer =
  | { readonly kind: "done"; readonly result: unknown }
  | { readonly kind: "threw"; readonly error: unknown };

export interface StoreServer {
  /**
   * A call has reached the database. `answer` is called when it is done.
   * @param commitMs how long its commit takes; meanwhile its rows are locked, and other writers of them wait. Half of a claim's
   *   time goes by between its search and its transaction, and nothing is locked yet.
   */
  handle(call: StoreCall, commitMs: number, answer: (answer: StoreAnswer) => void): void;
  readonly core: StoreCore;
}

export interface StoreServerOptions {
  readonly agenda: Agenda;
  /** @param isLocked rows that a slow commit holds. */
  readonly createCore: (isLocked: (ref: JobRef) => boolean) => StoreCore;
  /** Told of each operation as it takes effect, and of what it answered. */
  readonly onApplied: (call: StoreCall, answer: StoreAnswer) => void;
}

export function createStoreServer({ agenda, createCore, onApplied }: StoreServerOptions): StoreServer {
  const locked = new Map<string, (() => void)[]>();
  const core = createCore((ref) => locked.has(keyOf(ref)));

  function apply({ call, operation }: Work): StoreAnswer {
    let answer: StoreAnswer;
    try {
      answer = { kind: "done", result: operation() };
    } catch (error) {
      answer = { kind: "threw", error };
    }
    onApplied(call, answer);
    return answer;
  }

  function handle(call: StoreCall, commitMs: number, answer: (answer: StoreAnswer) => void): void {
    const keys = rowsOf(call);
    if (call.name === "claimJobs" && commitMs > 0 && core.chooseClaim !== undefined) {
      const { rows, take } = core.chooseClaim(call.args[0]);
      const work = { call, keys: rows.map(keyOf), operation: take };
      agenda.at(agenda.nowMs + commitMs / 2, () => commit(work, commitMs / 2, answer));
      return;
    }
    // A call's arguments are those of its own operation.
    const operation = core[call.name] as (...args: readonly unknown[]) => unknown;
    commit({ call, keys, operation: () => operation(...call.args) }, commitMs, answer);
  }

  function commit(work: Work, commitMs: number, answer: (answer: StoreAnswer) => void): void {
    const { keys } = work;
    for (const key of keys) {
      const waiting = locked.get(key);
      if (waiting === undefined) continue;
      waiting.push(() => commit(work, commitMs, answer));
      return;
    }
    if (commitMs === 0) {
      answer(apply(work));
      return;
    }
    for (const key of keys) locked.set(key, []);
    agenda.at(agenda.nowMs + commitMs, () => {
      const waiting = keys.flatMap((key) => locked.get(key) ?? []);
      for (const key of keys) locked.delete(key);
      answer(apply(work));
      for (const goOn of waiting) agenda.at(agenda.nowMs, goOn);
    });
  }

  return { handle, core };
}

/** A call, the rows that it locks, and what it does when it takes effect. */
interface Work {
  readonly call: StoreCall;
  readonly keys: readonly string[];
  readonly operation: () => unknown;
}

function keyOf(ref: JobRef): string {
  return `${ref.tenantId}/${ref.jobId}`;
}

/** The rows that a write names; none for reads, and for claims, which skip what is locked. */
export function rowsOf(call: StoreCall): readonly string[] {
  switch (call.name) {
    case "updateJobs":
      return call.args[0].map(keyOf);
    case "leaveRequest":
    case "deleteJob":
      return [keyOf(call.args[0])];
    default:
      return [];
  }
}
