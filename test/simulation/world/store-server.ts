import type { JobRef } from "#pkg/job/index.ts";
import type { Agenda } from "#test/simulation/kernel/agenda.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";

export type OperationName = Exclude<keyof StoreCore, "close">;

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
   * @param commitMs how long its commit takes; meanwhile its rows are locked, and other writers of them wait.
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

  function apply(call: StoreCall): StoreAnswer {
    let answer: StoreAnswer;
    try {
      // A call's arguments are those of its own operation.
      const operation = core[call.name] as (...args: readonly unknown[]) => unknown;
      answer = { kind: "done", result: operation(...call.args) };
    } catch (error) {
      answer = { kind: "threw", error };
    }
    onApplied(call, answer);
    return answer;
  }

  function handle(call: StoreCall, commitMs: number, answer: (answer: StoreAnswer) => void): void {
    const keys = rowsOf(call);
    for (const key of keys) {
      const waiting = locked.get(key);
      if (waiting === undefined) continue;
      waiting.push(() => handle(call, commitMs, answer));
      return;
    }
    if (commitMs === 0) {
      answer(apply(call));
      return;
    }
    for (const key of keys) locked.set(key, []);
    agenda.at(agenda.nowMs + commitMs, () => {
      const waiting = keys.flatMap((key) => locked.get(key) ?? []);
      for (const key of keys) locked.delete(key);
      answer(apply(call));
      for (const goOn of waiting) agenda.at(agenda.nowMs, goOn);
    });
  }

  return { handle, core };
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
