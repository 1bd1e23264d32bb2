import { type BatchJobState, BatchPhase } from "#pkg/batch/index.ts";
import type { BatchJob, BatchTask, StatusEvent } from "./connection.ts";
import { delayOf, failureOf } from "./failure.ts";
import { batchJobIdOfName } from "./names.ts";

/** The states that have not ended, for filters. */
export const OPEN_STATES = ["QUEUED", "SCHEDULED", "RUNNING", "CANCELLATION_IN_PROGRESS"] as const;

/** The cloud's words for a state. One that this code does not know yet counts as queued: it is there, and has not ended. */
const PHASES: Readonly<Record<string, BatchPhase>> = {
  QUEUED: BatchPhase.Queued,
  SCHEDULED: BatchPhase.Queued,
  RUNNING: BatchPhase.Running,
  CANCELLATION_IN_PROGRESS: BatchPhase.Stopping,
  SUCCEEDED: BatchPhase.Succeeded,
  FAILED: BatchPhase.Failed,
  CANCELLED: BatchPhase.Cancelled,
};

/** It is being deleted: gone for all that anyone can do with it, while its name is still taken. */
export function isBeingDeleted(job: BatchJob): boolean {
  return job.status?.state === "DELETION_IN_PROGRESS";
}

/** Where a batch job stands; undefined for one that is being deleted. `task` where the job alone does not tell why it failed. */
export function stateOf(job: BatchJob, task?: BatchTask): BatchJobState | undefined {
  if (isBeingDeleted(job)) return undefined;
  const providerState = String(job.status?.state ?? "STATE_UNSPECIFIED");
  const phase = PHASES[providerState] ?? BatchPhase.Queued;
  const events = [...(job.status?.statusEvents ?? []), ...(task?.status?.statusEvents ?? [])];
  const failure = phase === BatchPhase.Failed ? failureOf(events) : undefined;
  const delay = phase === BatchPhase.Queued ? delayOf(events) : undefined;
  const isOver =
    phase === BatchPhase.Succeeded || phase === BatchPhase.Failed || phase === BatchPhase.Cancelled;
  const endedAtMs = isOver ? (momentOfChangeTo(events, providerState) ?? epochMs(job.updateTime)) : undefined;
  const startedAtMs = momentOfChangeTo(events, "RUNNING");
  return {
    batchJobId: batchJobIdOfName(job.name ?? ""),
    providerJobId: job.name ?? "",
    phase,
    providerState,
    // The cloud's moments are told by several of its machines: an end is not before its start.
    startedAtMs: startedAtMs === undefined ? undefined : Math.min(startedAtMs, endedAtMs ?? startedAtMs),
    endedAtMs,
    reason: failure?.reason ?? delay?.reason,
    message: failure?.message ?? delay?.message ?? lastWords(events),
    exitCode: failure?.exitCode,
    endedUnstarted: failure?.endedUnstarted ?? false,
  };
}

/** Whether the events of the job alone leave open why it failed, so that those of its task are worth a call. */
export function isUnexplained(job: BatchJob): boolean {
  return job.status?.state === "FAILED" && !failureOf(job.status.statusEvents ?? []).isExplained;
}

/** When the job, or its task, came to a state. The job's first, which is told first. */
function momentOfChangeTo(events: readonly StatusEvent[], state: string): number | undefined {
  const change = new RegExp(`(?:set|updated) from \\w+ to ${state}\\b`);
  const event = events.find(
    ({ description, taskState }) => taskState === state || change.test(description ?? ""),
  );
  return epochMs(event?.eventTime);
}

function lastWords(events: readonly StatusEvent[]): string | undefined {
  return events.at(-1)?.description || undefined;
}

function epochMs(moment: StatusEvent["eventTime"]): number | undefined {
  if (!moment || !Number(moment.seconds)) return undefined;
  return Number(moment.seconds) * 1_000 + Math.floor((moment.nanos ?? 0) / 1e6);
}
