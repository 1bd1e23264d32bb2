import type { BatchProvider, CreateRequest } from "#pkg/batch/index.ts";

/** The calls of the port that something can befall. */
export type CallName = "create" | "look" | "describe" | "terminate" | "remove" | "inventory";

/** What befalls the next call of a kind. */
export type Trouble =
  /** A 429, and nothing was done. */
  | { readonly kind: "throttled"; readonly retryAfterMs: number }
  /** A 5xx, and nothing was done. */
  | { readonly kind: "failed before" }
  /** A 5xx, after it was done. */
  | { readonly kind: "failed after" }
  /** It never comes, or its reply never does. */
  | { readonly kind: "request lost" }
  | { readonly kind: "reply lost" }
  /** A 4xx that says that this very request is wrong. */
  | { readonly kind: "rejected" };

/** How a batch job's own story goes, besides what its program does. */
export type Fate =
  /** Its machine is taken away while it runs, or before its program started. */
  | "reclaimed"
  | "lost unstarted"
  /** When its state was told once, the cloud knows it no more. */
  | "vanishes";

/** One target under the rules of GCP Batch, whoever keeps them; and its time, which passes only as it is told. */
export interface RuledCloud {
  /** Two handles on it, as two workers have them. */
  readonly provider: BatchProvider;
  readonly peer: BatchProvider;
  /** Waits for an answer, letting as little time pass as the way there and back takes. */
  answer<T>(call: Promise<T>): Promise<T>;
  pass(ms: number): Promise<void>;
  befall(call: CallName, trouble: Trouble): void;
  /** Resolves when what was last befallen has befallen its call, and whatever that call did is done. */
  struck(): Promise<void>;
  /** What will become of the batch job that this request makes. */
  destine(request: CreateRequest, fate: Fate): void;
  /** Lists do not tell of what is made from now on until it is this old. */
  lagLists(ms: number): void;
  /** The next reads do not tell of this batch job, for so long. */
  hide(batchJobId: string, ms: number): void;
  /** How many batch jobs were ever made under this name. */
  made(batchJobId: string): number;
  close(): Promise<void>;
}

/** The most that a batch job waits for its machine, and that a termination takes to come into effect. */
export const QUEUE_MS = 4_000;
export const STOP_MS = 2_000;
