import type { Refusal } from "./refusal.ts";

/** The calls that the double answers. */
export type MethodName = "CreateJob" | "GetJob" | "GetTask" | "ListJobs" | "CancelJob" | "DeleteJob";

/** What goes wrong with the next calls of a method. All that is not said goes right. */
export interface Misbehaviour {
  readonly method: MethodName;
  /** Only calls about a batch job whose name holds this. */
  readonly job?: string;
  /** How many calls. Default 1. */
  readonly times?: number;
  /** The request lies there until `letGo`; then the work is done, whoever still waits for it, or the request is forgotten. */
  readonly stall?: "do" | "drop";
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
  /** @param job the id of the batch job that the call is about, if it is about one. */
  take(method: MethodName, job: string): Misbehaviour | undefined;
}

export function createMisbehaviours(): Misbehaviours {
  const waiting: { readonly what: Misbehaviour; left: number }[] = [];
  return {
    add(what) {
      waiting.push({ what, left: what.times ?? 1 });
    },
    take(method, job) {
      const found = waiting.find(
        ({ what, left }) => what.method === method && left > 0 && job.includes(what.job ?? ""),
      );
      if (found !== undefined) found.left -= 1;
      return found?.what;
    },
  };
}
