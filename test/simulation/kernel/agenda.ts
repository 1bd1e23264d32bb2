import { systemClock } from "#pkg/clock/index.ts";

/** Simulated time: what happens when, one thing after the other. Milliseconds since the world began. */
export interface Agenda {
  readonly nowMs: number;
  /** Has `act` happen then, or now if that is past; what is due at one moment happens in the order of asking. */
  at(atMs: number, act: () => void): void;
  /** The same for an act that settles no promise, which costs half as much. */
  quietlyAt(atMs: number, act: () => void): void;
  /**
   * Lets time pass until `isOver`, which is asked after every act, or `untilMs`. After each act every promise that can settle
   * without time passing has settled.
   */
  run(untilMs: number, isOver: () => boolean): Promise<void>;
  /** How many acts there were. */
  readonly acts: number;
}

interface Entry {
  readonly atMs: number;
  readonly order: number;
  readonly isQuiet: boolean;
  readonly act: () => void;
}

export function createAgenda(): Agenda {
  const heap: Entry[] = [];
  let nowMs = 0;
  let order = 0;
  let acts = 0;

  function enter(atMs: number, act: () => void, isQuiet: boolean): void {
    push(heap, { atMs: Math.max(atMs, nowMs), order: order++, isQuiet, act });
  }

  return {
    get nowMs() {
      return nowMs;
    },
    get acts() {
      return acts;
    },
    at: (atMs, act) => enter(atMs, act, false),
    quietlyAt: (atMs, act) => enter(atMs, act, true),
    async run(untilMs, isOver) {
      await systemClock.yield();
      while (!isOver()) {
        const next = heap[0];
        if (next === undefined || next.atMs > untilMs) break;
        pop(heap);
        nowMs = next.atMs;
        acts += 1;
        next.act();
        // The next turn of the event loop comes after every promise that can settle by itself.
        if (!next.isQuiet) await systemClock.yield();
      }
    },
  };
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs === b.atMs ? a.order < b.order : a.atMs < b.atMs;
}

/** A binary heap, the earliest first. */
function push(heap: Entry[], entry: Entry): void {
  let index = heap.length;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    const above = heap[parent];
    if (above === undefined || isBefore(above, entry)) break;
    heap[index] = above;
    index = parent;
  }
  heap[index] = entry;
}

function pop(heap: Entry[]): void {
  const last = heap.pop();
  if (last === undefined || heap.length === 0) return;
  let index = 0;
  for (;;) {
    const left = 2 * index + 1;
    const right = left + 1;
    let child = heap[left];
    if (child === undefined) break;
    let childIndex = left;
    const other = heap[right];
    if (other !== undefined && isBefore(other, child)) {
      child = other;
      childIndex = right;
    }
    if (isBefore(last, child)) break;
    heap[index] = child;
    index = childIndex;
  }
  heap[index] = last;
}
