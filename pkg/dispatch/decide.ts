import { CreatePhase, isTerminal, type Job, JobStatus } from "#pkg/job/index.ts";

/** What the owner knows of the attempt under way beside its row. See `README.md`. Monotonic milliseconds. */
export interface Knowledge {
  /** The attempt that all of this is about. */
  readonly attempt: number;
  /** Some create of it may have reached the cloud. */
  readonly doubt: boolean;
  /** From when on a look that finds nothing means that there is nothing. */
  readonly settledAtMs: number;
  /** When the last look that found nothing began. */
  readonly absentLookAtMs: number | undefined;
  /** A create was refused for good while an earlier one was in doubt. */
  readonly refusal: { readonly reason: string; readonly message: string } | undefined;
  /** When the batch job was last told to end; undefined when it was not. */
  readonly terminatedAtMs: number | undefined;
}

/** Between two looks for a batch job in doubt, until the doubt is settled. */
export const LOOK_INTERVAL_MS = 10_000;

/** Between two terminations of a batch job that goes on: one may have been lost on its way. */
export const TERMINATE_INTERVAL_MS = 30_000;

/** What to do next with a job. */
export type Step =
  | { readonly kind: "forget" }
  | { readonly kind: "remove" }
  | { readonly kind: "terminate" }
  /** Nothing to do but to watch it, until this moment if one is named. */
  | { readonly kind: "watch"; readonly untilMonotonicMs: number | undefined }
  | { readonly kind: "look" }
  /** Commit BEGUN where the row does not say so yet, then create. */
  | { readonly kind: "create" }
  | { readonly kind: "fail"; readonly reason: string; readonly message: string }
  | { readonly kind: "cancel" }
  /** Nothing to do before this moment, on the clock that is named. */
  | { readonly kind: "wait"; readonly untilMonotonicMs: number }
  | { readonly kind: "wait"; readonly untilWallMs: number };

export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** What a new owner knows: nothing but the row. `fresh` is a row that this process has just inserted itself. */
export function firstKnowledge(job: Job, settledAtMs: number, fresh: boolean): Knowledge {
  return {
    attempt: job.attempt,
    doubt: !fresh && job.createPhase === CreatePhase.Begun,
    settledAtMs,
    absentLookAtMs: undefined,
    refusal: undefined,
    terminatedAtMs: undefined,
  };
}

/** The table of `README.md`. */
export function decide(job: Job, known: Knowledge, createIsIdempotent: boolean, now: Moment): Step {
  if (isTerminal(job.status)) return decideTerminal(job, known, now);
  const cancelRequested = job.cancelRequestedAtMs !== undefined;
  if (job.status === JobStatus.Running) return decideRunning(cancelRequested, known, now);
  if (isInDoubt(known)) {
    return createIsIdempotent && known.refusal === undefined ? { kind: "create" } : decideLook(known, now);
  }
  if (known.refusal !== undefined) return { kind: "fail", ...known.refusal };
  if (cancelRequested) return { kind: "cancel" };
  if (job.dueAtMs !== undefined && job.dueAtMs > now.wallMs)
    return { kind: "wait", untilWallMs: job.dueAtMs };
  return { kind: "create" };
}

/** At once, then every `LOOK_INTERVAL_MS`, and once more when the doubt has stood long enough. */
function decideLook(known: Knowledge, now: Moment): Step {
  if (known.absentLookAtMs === undefined) return { kind: "look" };
  const nextMs = Math.min(known.absentLookAtMs + LOOK_INTERVAL_MS, known.settledAtMs);
  return nextMs > now.monotonicMs ? { kind: "wait", untilMonotonicMs: nextMs } : { kind: "look" };
}

function decideRunning(cancelRequested: boolean, known: Knowledge, now: Moment): Step {
  if (!cancelRequested) return { kind: "watch", untilMonotonicMs: undefined };
  if (known.terminatedAtMs === undefined) return { kind: "terminate" };
  const againAtMs = known.terminatedAtMs + TERMINATE_INTERVAL_MS;
  return againAtMs > now.monotonicMs ? { kind: "watch", untilMonotonicMs: againAtMs } : { kind: "terminate" };
}

function decideTerminal(job: Job, known: Knowledge, now: Moment): Step {
  if (job.deleteRequestedAtMs === undefined) return { kind: "forget" };
  if (known.settledAtMs > now.monotonicMs) return { kind: "wait", untilMonotonicMs: known.settledAtMs };
  return { kind: "remove" };
}

/** Whether there is doubt that no look has settled. */
export function isInDoubt(known: Knowledge): boolean {
  const settled = known.absentLookAtMs !== undefined && known.absentLookAtMs >= known.settledAtMs;
  return known.doubt && !settled;
}
