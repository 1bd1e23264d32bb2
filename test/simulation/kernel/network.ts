import type { Agenda } from "./agenda.ts";
import type { Dice } from "./dice.ts";

/** Who can be cut off from whom: machines, `store`, targets of clouds. */
export interface Network {
  /** Has `arrive` happen at the other end a moment later, unless that is cut off from here then. */
  send(from: string, to: string, delayMs: number, arrive: () => void): void;
  /** The same to what is no process, the database or a cloud: nothing there waits for a promise. */
  ask(from: string, to: string, delayMs: number, arrive: () => void): void;
  /** What `from` sends does not reach `to` any more, until it is healed as often; the other way is another link. */
  cut(from: string, to: string): void;
  heal(from: string, to: string): void;
}

/** How long a message takes: a millisecond, and up to so much more. */
const JITTER_MS = 4;

export function createNetwork(agenda: Agenda, dice: Dice): Network {
  const cuts = new Map<string, number>();
  const isCut = (from: string, to: string) => (cuts.get(`${from}|${to}`) ?? 0) > 0;
  const change = (from: string, to: string, by: number) =>
    cuts.set(`${from}|${to}`, (cuts.get(`${from}|${to}`) ?? 0) + by);

  const latencyMs = (from: string, to: string) => 1 + dice.next(`latency ${from} ${to}`) * JITTER_MS;
  const unlessCut = (from: string, to: string, arrive: () => void) => () => {
    if (!isCut(from, to)) arrive();
  };

  return {
    send(from, to, delayMs, arrive) {
      agenda.at(agenda.nowMs + delayMs + latencyMs(from, to), unlessCut(from, to, arrive));
    },
    ask(from, to, delayMs, arrive) {
      agenda.quietlyAt(agenda.nowMs + delayMs + latencyMs(from, to), unlessCut(from, to, arrive));
    },
    cut: (from, to) => void change(from, to, 1),
    heal: (from, to) => void change(from, to, -1),
  };
}
