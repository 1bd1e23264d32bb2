import type { Refusal } from "./refusal.ts";

/** The calls that the double answers. */
export type MethodName = "CreateJob" | "GetJob" | "GetTask" | "ListJobs" | "CancelJob" | "DeleteJob";

/** What goes wrong with the next calls of a method. All that is not said goes right. */
export interface Misbehaviour {
  readonly method: MethodName;
  /** How many calls. Default 1. */
  readonly times?: number;
  /** Refused, and nothing was done. */
  readonly before?: Refusal;
  /** The work is done, and then this is said: the answer is lost. */
  readonly after?: Refusal;
  /** The work is done, and the answer comes so much later. */
  readonly delayMs?: number;
  /** The work is done, and no answer comes. */
  readonly silent?: boolean;
}

/** Faults that wait for their calls, first come first served. */
export interface Misbehaviours {
  add(misbehaviour: Misbehaviour): void;
  take(method: MethodName): Misbehaviour | undefined;
}

export function createMisbehaviours(): Misbehaviours {
  const waiting: { readonly what: Misbehaviour; left: number }[] = [];
  return {
    add(what) {
      waiting.push({ what, left: what.times ?? 1 });
    },
    take(method) {
      const found = waiting.find(({ what, left }) => what.method === method && left > 0);
      if (found !== undefined) found.left -= 1;
      return found?.what;
    },
  };
}
