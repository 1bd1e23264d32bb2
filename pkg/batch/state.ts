/**
 * Where a batch job stands, in words that all clouds share. QUEUED: the cloud has it, its program does not run. RUNNING:
 * its program runs. STOPPING: a termination was accepted and has not taken effect. The other three are its end.
 */
export const BatchPhase = {
  Queued: "QUEUED",
  Running: "RUNNING",
  Stopping: "STOPPING",
  Succeeded: "SUCCEEDED",
  Failed: "FAILED",
  Cancelled: "CANCELLED",
} as const;
export type BatchPhase = (typeof BatchPhase)[keyof typeof BatchPhase];

/** SUCCEEDED, FAILED or CANCELLED: it does not run and never will. */
export function hasEnded(phase: BatchPhase): boolean {
  return phase === BatchPhase.Succeeded || phase === BatchPhase.Failed || phase === BatchPhase.Cancelled;
}

/** One batch job as the cloud tells of it. Moments are epoch milliseconds by the cloud's clock. */
export interface BatchJobState {
  readonly batchJobId: string;
  /** The cloud's own id; what later calls name it by. */
  readonly providerJobId: string;
  readonly phase: BatchPhase;
  /** The cloud's own word for the state. */
  readonly providerState: string;
  /** When the program started; undefined when it has not, or the cloud does not tell. */
  readonly startedAtMs: number | undefined;
  readonly endedAtMs: number | undefined;
  /**
   * UPPER_SNAKE_CASE. Of a FAILED one: what went wrong (`EXIT_CODE`, `TIMEOUT`, `SPOT_RECLAIMED`, `PROVIDER_LOST`, …). Of a
   * QUEUED one: what it waits for, where the cloud tells of something in its way (`QUOTA_EXCEEDED`).
   */
  readonly reason: string | undefined;
  /** The cloud's own words, for people. */
  readonly message: string | undefined;
  readonly exitCode: number | undefined;
  /**
   * Of a FAILED one: it ended before its program started (spot reclaimed, host lost, no capacity), so the try was not
   * the program's fault and does not consume `max_retries`.
   */
  readonly endedUnstarted: boolean;
}
