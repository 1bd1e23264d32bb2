import type { Agenda } from "./agenda.ts";
import type { Dice } from "./dice.ts";

/** Who can be cut off from whom: machines, `store`, targets of clouds. */
export interface Network {
  /** Has `arrive` happen at the other end a moment later, unless the two are cut off from each other then. */
  send(from: string, to: string, delayMs: number, arrive: () => void): void;
  /** Whether the two are cut off from each other now. */
  isCut(from: string, to: string): boolean;
  cut(a: string, b: string): void;
  heal(a: string, b: string): void;
}

/** How long a message takes: a millisecond, and up to so much more. */
const JITTER_MS = 4;

export function createNetwork(agenda: Agenda, dice: Dice): Network {
  const cuts = new Map<string, number>();
  const linkOf = (a: string, b: string) => (a < b ? `${a}|${b}` : `${b}|${a}`);
  const isCut = (a: string, b: string) => (cuts.get(linkOf(a, b)) ?? 0) > 0;
  const change = (a: string, b: string, by: number) =>
    cuts.set(linkOf(a, b), (cuts.get(linkOf(a, b)) ?? 0) + by);

  return {
    isCut,
    send(from, to, delayMs, arrive) {
      const latencyMs = 1 + dice.next(`latency ${from} ${to}`) * JITTER_MS;
      agenda.at(agenda.nowMs + delayMs + latencyMs, () => {
        if (!isCut(from, to)) arrive();
      });
    },
    cut: (a, b) => void change(a, b, 1),
    heal: (a, b) => void change(a, b, -1),
  };
}
