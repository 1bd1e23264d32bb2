import { type BatchJobState, BatchPhase } from "#pkg/batch/index.ts";
import { WORLD_BEGAN_MS } from "#test/simulation/kernel/machine.ts";

/** How a batch job's own story goes, if nobody terminates it. */
export type Ending = "succeeds" | "fails" | "preempted" | "unstarted";

/** A batch job as a cloud keeps it. Moments are the world's. What it does follows from them, so nothing has to move it. */
export interface BatchJob {
  readonly name: string;
  readonly providerJobId: string;
  readonly deploymentId: string;
  readonly tenantId: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly env: Readonly<Record<string, string>>;
  readonly madeAtMs: number;
  readonly startsAtMs: number;
  /** How long its program runs, if nothing holds it up. */
  readonly runsMs: number;
  /** Never, once the cloud has lost it or forgotten it while it ran: then it runs until it is terminated. */
  endsAtMs: number;
  readonly ending: Ending;
  /** Lists show it from this moment on. */
  readonly listedFromMs: number;
  /** So long after its state was first told the cloud loses it: it answers as if it had never been, while it runs on. */
  readonly vanishesAfterMs: number | undefined;
  vanishesAtMs: number;
  /** Until this moment it is missing from answers. */
  missingUntilMs: number;
  /** Until this moment the cloud does not know it at all: a termination or a removal finds nothing. */
  forgottenUntilMs: number;
  /** When a termination takes effect. */
  stopsAtMs: number | undefined;
  removedAtMs: number | undefined;
  /** How often in a row the cloud answered a question for its state without it. */
  missesTold: number;
}

/** How long a cloud takes from a termination to its effect. */
export const STOPPING_MS = 2_000;

export function phaseOf(job: BatchJob, nowMs: number): BatchPhase {
  const endMs = job.ending === "unstarted" ? job.startsAtMs : job.endsAtMs;
  if (job.stopsAtMs !== undefined && job.stopsAtMs <= endMs) {
    return job.stopsAtMs <= nowMs ? BatchPhase.Cancelled : BatchPhase.Stopping;
  }
  if (nowMs >= endMs) return job.ending === "succeeds" ? BatchPhase.Succeeded : BatchPhase.Failed;
  return nowMs >= job.startsAtMs ? BatchPhase.Running : BatchPhase.Queued;
}

/** It may still do something. */
export function isLive(job: BatchJob, nowMs: number): boolean {
  const phase = phaseOf(job, nowMs);
  return phase === BatchPhase.Queued || phase === BatchPhase.Running || phase === BatchPhase.Stopping;
}

/** Whether reads show it. */
export function isShown(job: BatchJob, nowMs: number): boolean {
  return job.removedAtMs === undefined && job.vanishesAtMs > nowMs && job.missingUntilMs <= nowMs;
}

const REASONS = {
  succeeds: undefined,
  fails: "EXIT_CODE",
  preempted: "SPOT_RECLAIMED",
  unstarted: "HOST_LOST",
};

/** What the cloud tells of it. */
export function stateOf(job: BatchJob, nowMs: number): BatchJobState {
  const phase = phaseOf(job, nowMs);
  const failed = phase === BatchPhase.Failed;
  const hasStarted =
    job.ending !== "unstarted" && nowMs >= job.startsAtMs && (job.stopsAtMs ?? nowMs) >= job.startsAtMs;
  const wall = (ms: number) => Math.floor(WORLD_BEGAN_MS + ms);
  return {
    batchJobId: job.name,
    providerJobId: job.providerJobId,
    phase,
    providerState: phase,
    startedAtMs: hasStarted ? wall(job.startsAtMs) : undefined,
    endedAtMs: isLive(job, nowMs) ? undefined : wall(Math.min(job.stopsAtMs ?? job.endsAtMs, job.endsAtMs)),
    reason: failed ? REASONS[job.ending] : undefined,
    message: failed ? `it ${job.ending}` : undefined,
    exitCode: failed && job.ending === "fails" ? 1 : undefined,
    endedUnstarted: failed && job.ending === "unstarted",
  };
}
