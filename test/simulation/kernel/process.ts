import { type Clock, createSeededEntropy, type Entropy } from "#pkg/clock/index.ts";
import type { Agenda } from "./agenda.ts";
import type { Machine } from "./machine.ts";

/**
 * A process: code that only the world can wake. Everything that reaches it (a timer, a message) is handed over by `deliver`;
 * so a frozen process does nothing, whichever await it stands at, and a dead one never again.
 */
export interface SimProcess {
  readonly name: string;
  readonly machine: Machine;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly isAlive: boolean;
  readonly isFrozen: boolean;
  /** Has `act` happen in this process: now, when it is thawed, or never. */
  deliver(act: () => void): void;
  freeze(): void;
  thaw(): void;
  kill(): void;
}

export function createProcess(agenda: Agenda, machine: Machine, name: string, seed: number): SimProcess {
  const inbox: (() => void)[] = [];
  let isAlive = true;
  let freezes = 0;

  function deliver(act: () => void): void {
    if (!isAlive) return;
    if (freezes > 0) inbox.push(act);
    else act();
  }

  function timer(ms: number, callback: () => void): { cancel(): void } {
    let isOff = false;
    const fire = () => {
      if (isOff) return;
      isOff = true;
      callback();
    };
    // Whole milliseconds and never none, as the system's own timers: or what waits for a blink would wait without end.
    machine.when(machine.monotonicMs() + Math.max(Math.ceil(ms), 1), () => {
      if (!isOff) deliver(fire);
    });
    return {
      cancel() {
        isOff = true;
      },
    };
  }

  const clock: Clock = {
    nowMs: machine.wallMs,
    monotonicMs: machine.monotonicMs,
    timer,
    sleep(ms, signal) {
      return new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const onAbort = () => {
          waiting.cancel();
          reject(signal?.reason);
        };
        const waiting = timer(ms, () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        });
        signal?.addEventListener("abort", onAbort, { once: true });
      });
    },
    yield: () => new Promise((resolve) => void timer(0, resolve)),
  };

  return {
    name,
    machine,
    clock,
    entropy: createSeededEntropy(seed),
    get isAlive() {
      return isAlive;
    },
    get isFrozen() {
      return freezes > 0;
    },
    deliver,
    freeze() {
      freezes += 1;
    },
    thaw() {
      freezes -= 1;
      if (freezes > 0) return;
      // One after the other, each with its promises settled, as an event loop takes what came meanwhile.
      for (const act of inbox.splice(0)) agenda.at(agenda.nowMs, () => deliver(act));
    },
    kill() {
      isAlive = false;
      inbox.length = 0;
    },
  };
}
