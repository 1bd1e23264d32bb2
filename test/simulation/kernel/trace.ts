import type { Agenda } from "./agenda.ts";

/** One thing that happened. */
export interface TraceLine {
  readonly atMs: number;
  /** A process, `store`, a cloud's target, or `world` for what the schedule does. */
  readonly who: string;
  readonly what: string;
  /** Worth reading when one looks for what went wrong. */
  readonly isTelling: boolean;
}

/** What happened, in order. Kept only where somebody will read it: a text costs more than the act that it tells of. */
export interface Trace {
  readonly isKept: boolean;
  readonly lines: readonly TraceLine[];
  /** `what` is made only if it is kept. */
  note(who: string, what: () => string, isTelling?: boolean): void;
}

export function createTrace(agenda: Agenda, isKept: boolean): Trace {
  const lines: TraceLine[] = [];
  return {
    isKept,
    lines,
    note(who, what, isTelling = true) {
      if (isKept) lines.push({ atMs: agenda.nowMs, who, what: what(), isTelling });
    },
  };
}

/** The whole trace as text: the same for the same seed, byte for byte. */
export function textOf(trace: Trace): string {
  return trace.lines.map(({ atMs, who, what }) => `${atMs.toFixed(3)} ${who} ${what}\n`).join("");
}
