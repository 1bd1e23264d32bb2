import type { Agenda } from "./agenda.ts";
import type { Dice } from "./dice.ts";
import type { Trace } from "./trace.ts";

/** What can go wrong with one call, at the moment when it is made. */
export const CallFault = {
  FreezeAtRead: "freeze at a read",
  FreezeAtJobWrite: "freeze at a job's write",
  FreezeAtTermWrite: "freeze at a term's write",
  FreezeAtCloud: "freeze at a call to a cloud",
  StoreRefuses: "store refuses",
  StoreRequestLost: "store request lost",
  StoreAnswerLost: "store answer lost",
  StoreSlow: "store slow",
  StoreLate: "store answer late",
  StoreSlowCommit: "store slow to commit",
  CloudRequestLost: "cloud request lost",
  CloudRequestLate: "cloud request late",
  CloudReplyLost: "cloud reply lost",
  CloudReplyLate: "cloud reply late",
  CloudThrottles: "cloud throttles",
  CloudFailsBefore: "cloud 5xx, not done",
  CloudFailsAfter: "cloud 5xx, done",
  CloudRejects: "cloud 4xx for a while",
  CloudListLags: "cloud list lags",
  CloudMisses: "cloud misses a batch job for a while",
  CloudVanishes: "batch job vanishes",
  CloudPreempts: "batch job preempted",
  CloudPreemptsUnstarted: "batch job lost before its start",
  RpcLost: "call lost",
  RpcReplyLost: "reply lost",
  RpcLate: "call late",
  CloudUnreadable: "cloud cannot read a batch job",
  CloudForgets: "cloud forgets a batch job",
} as const;
export type CallFault = (typeof CallFault)[keyof typeof CallFault];

/** A fault that struck. */
export interface Strike {
  /** Names it within its seed: the same when other faults are left out. */
  readonly id: string;
  /** In [0, 1): how hard. */
  readonly force: number;
}

/** Says of a fault, an accident, a job, a caller's act or a worker, by its id, whether it takes part. */
export type Allows = (id: string) => boolean;

/** Decides which calls go wrong, and remembers which did. */
export interface Chaos {
  /** Whether this fault strikes the next call of this kind at this place. */
  strikes(fault: CallFault, where: string): Strike | undefined;
  /** A fault that the schedule itself planned struck. */
  planned(id: string, kind: string): void;
  /** Everything that struck, in order. */
  readonly struck: readonly string[];
  /** How often each kind struck. */
  readonly counts: ReadonlyMap<string, number>;
}

export interface ChaosOptions {
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly trace: Trace;
  /** How likely each fault is, in [0, 1]; one that is not named never strikes. */
  readonly odds: ReadonlyMap<CallFault, number>;
  /** From when on nothing goes wrong any more. */
  readonly endMs: number;
  /** Whether what has this id may happen; a schedule that is shrunk leaves most of it out. */
  readonly allows: Allows;
}

export function createChaos({ agenda, dice, trace, odds, endMs, allows }: ChaosOptions): Chaos {
  const drawn = new Map<string, number>();
  const struck: string[] = [];
  const counts = new Map<string, number>();

  function planned(id: string, kind: string): void {
    struck.push(id);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }

  return {
    strikes(fault, where) {
      const odd = odds.get(fault);
      if (odd === undefined || agenda.nowMs >= endMs) return undefined;
      const place = `${fault} @ ${where}`;
      const number = (drawn.get(place) ?? 0) + 1;
      drawn.set(place, number);
      if (dice.next(place) >= odd) return undefined;
      const id = `${place} #${number}`;
      if (!allows(id)) return undefined;
      planned(id, fault);
      trace.note("world", () => `fault: ${id}`);
      return { id, force: dice.of(id) };
    },
    planned,
    struck,
    counts,
  };
}
