import type { Agenda } from "./agenda.ts";

/** The wall clock's answer at the beginning of every world, on a machine that goes right; epoch milliseconds. */
export const WORLD_BEGAN_MS = 1_700_000_000_000;

/** A machine's clocks: the same for all processes on it. */
export interface Machine {
  readonly name: string;
  /** Whole milliseconds since the epoch, as this machine believes. */
  wallMs(): number;
  /** Stands still while the machine is suspended. */
  monotonicMs(): number;
  /** Has `act` happen when the monotonic clock shows this, however often the machine is suspended until then. */
  when(monotonicMs: number, act: () => void): void;
  suspend(): void;
  resume(): void;
  /** The wall clock is corrected, or put wrong, by so much. */
  jump(ms: number): void;
}

/**
 * @param rate how fast its monotonic clock goes; 1 is right.
 * @param offsetMs how far its wall clock is ahead.
 */
export function createMachine(agenda: Agenda, name: string, rate: number, offsetMs: number): Machine {
  let offset = offsetMs;
  let suspendedForMs = 0;
  let suspendedAtMs: number | undefined;
  const sleeping: (() => void)[] = [];

  const awakeMs = () => (suspendedAtMs ?? agenda.nowMs) - suspendedForMs;

  function when(monotonicMs: number, act: () => void): void {
    agenda.at(monotonicMs / rate + suspendedForMs, () => {
      if (suspendedAtMs !== undefined) sleeping.push(() => when(monotonicMs, act));
      // The clock's multiplication may leave it a rounding error short.
      else if (awakeMs() * rate < monotonicMs - 0.001) when(monotonicMs, act);
      else act();
    });
  }

  return {
    name,
    when,
    wallMs: () => Math.floor(WORLD_BEGAN_MS + agenda.nowMs + offset),
    monotonicMs: () => awakeMs() * rate,
    suspend() {
      suspendedAtMs ??= agenda.nowMs;
    },
    resume() {
      if (suspendedAtMs === undefined) return;
      suspendedForMs += agenda.nowMs - suspendedAtMs;
      suspendedAtMs = undefined;
      for (const wake of sleeping.splice(0)) wake();
    },
    jump(ms) {
      offset += ms;
    },
  };
}
