import type { Agenda } from "#test/simulation/kernel/agenda.ts";
import { CallFault, type Chaos } from "#test/simulation/kernel/chaos.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";

export interface FreezeOptions {
  readonly agenda: Agenda;
  readonly chaos: Chaos;
  /** The lease TTL: freezes are up to two and a half times as long. */
  readonly ttlMs: number;
}

/** Every place where a process talks to another is one where it may be frozen, its other awaits with it. */
export interface Freezer {
  /**
   * Has `send` happen as the process's next act. It may be frozen there: after the bytes left, or before, in which case
   * they leave when it is thawed.
   *
   * @param patienceMs a connection that said nothing for longer is dead by then, and what was to leave on it is lost.
   */
  send(process: SimProcess, patienceMs: number, send: () => void): void;
  /** Freezes a process for so long. */
  freeze(process: SimProcess, forMs: number): void;
}

export function createFreezer({ agenda, chaos, ttlMs }: FreezeOptions): Freezer {
  function freeze(process: SimProcess, forMs: number): void {
    process.freeze();
    agenda.at(agenda.nowMs + forMs, () => process.thaw());
  }

  return {
    freeze,
    send(process, patienceMs, send) {
      const strike = chaos.strikes(CallFault.FreezeAtSend, process.name);
      if (strike === undefined) return send();
      const forMs = ttlMs * 2.5 * strike.force;
      freeze(process, forMs);
      if ((strike.force * 1_000) % 1 < 0.5) return send();
      if (forMs > patienceMs) return;
      agenda.at(agenda.nowMs + forMs, () => {
        if (process.isAlive) send();
      });
    },
  };
}
