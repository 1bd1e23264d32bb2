import type { Agenda } from "#test/simulation/kernel/agenda.ts";
import type { CallFault, Chaos } from "#test/simulation/kernel/chaos.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";

export interface FreezeOptions {
  readonly agenda: Agenda;
  readonly chaos: Chaos;
  readonly ttlMs: number;
}

/** What a process was about to do. */
export type FreezePoint = Extract<CallFault, `freeze at ${string}`>;

/** Every place where a process talks to another is one where it may be frozen, its other awaits with it. */
export interface Freezer {
  /**
   * Has `send` happen as the process's next act. It may be frozen there: after the bytes left, or before, in which case
   * they leave when it is thawed.
   *
   * @param patienceMs a connection that said nothing for longer is dead by then, and what was to leave on it is lost.
   */
  send(process: SimProcess, at: FreezePoint, patienceMs: number, send: () => void): void;
  /** Freezes a process for so long. */
  freeze(process: SimProcess, forMs: number): void;
}

/** Mostly up to twice the TTL; one in five longer, up to fifty times, so that it outlasts what others wait for. */
function lengthOf(force: number, ttlMs: number): number {
  const stretch = 20 ** (Math.max(0, force - 0.8) / 0.2);
  return ttlMs * 2.5 * force * stretch;
}

export function createFreezer({ agenda, chaos, ttlMs }: FreezeOptions): Freezer {
  function freeze(process: SimProcess, forMs: number): void {
    process.freeze();
    agenda.at(agenda.nowMs + forMs, () => process.thaw());
  }

  return {
    freeze,
    send(process, at, patienceMs, send) {
      const strike = chaos.strikes(at, process.name);
      if (strike === undefined) return send();
      const forMs = lengthOf(strike.force, ttlMs);
      freeze(process, forMs);
      if ((strike.force * 1_000) % 1 < 0.5) return send();
      if (forMs > patienceMs) return;
      agenda.at(agenda.nowMs + forMs, () => {
        if (process.isAlive) send();
      });
    },
  };
}
