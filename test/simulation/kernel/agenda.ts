import { systemClock } from "#pkg/clock/index.ts";

/** Something that will happen, unless it is called off. */
export interface Appointment {
  cancel(): void;
}

/** Simulated time: what happens when, one thing after the other. Milliseconds since the world began. */
export interface Agenda {
  readonly nowMs: number;
  /** Has `act` happen then, or now if that is past; what is due at one moment happens in the order of asking. */
  at(atMs: number, act: () => void): Appointment;
  /**
   * Lets time pass until `isOver`, which is asked after every act, or `untilMs`. After each act every promise that can settle
   * without time passing has settled.
   */
  run(untilMs: number, isOver: () => boolean): Promise<void>;
  /** How many acts there were. */
  readonly acts: number;
}

interface Entry extends Appointment {
  readonly atMs: number;
  readonly order: number;
  act: (() => void) | undefined;
}

export function createAgenda(): Agenda {
  const heap: Entry[] = [];
  let nowMs = 0;
  let order = 0;
  let acts = 0;

  return {
    get nowMs() {
      return nowMs;
    },
    get acts() {
      return acts;
    },
    at(atMs, act) {
      const entry: Entry = {
        atMs: Math.max(atMs, nowMs),
        order: order++,
        act,
        cancel() {
          entry.act = undefined;
        },
      };
      push(heap, entry);
      return entry;
    },
    async run(untilMs, isOver) {
      await systemClock.yield();
      while (!isOver()) {
        const next = heap[0];
        if (next === undefined || next.atMs > untilMs) break;
        pop(heap);
        if (next.act === undefined) continue;
        nowMs = next.atMs;
        acts += 1;
        next.act();
        // The next turn of the event loop comes after every promise that can settle by itself.
        await systemClock.yield();
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
