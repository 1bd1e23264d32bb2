import { isDeepStrictEqual } from "node:util";
import { isTerminal, type Job, JobStatus, mayBecome } from "#pkg/job/index.ts";
import type { Deletion, InsertResult, JobUpdate, RequestKind } from "#pkg/store/index.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";
import type { StoreAnswer, StoreCall } from "#test/simulation/world/store-server.ts";
import type { Ledger } from "./ledger.ts";
import { Promised, type Report, type Tested } from "./promise.ts";

export interface RowWatchOptions {
  readonly ledger: Ledger;
  readonly report: Report;
  readonly tested: Tested;
  /** Told of a row that has just been inserted. */
  readonly onInserted: (plan: string) => void;
  /** Told of a row that has just become terminal. */
  readonly onEnded: (job: Job) => void;
}

/** Judges every change of a job's row, right when it takes effect. */
export function createRowWatch({ ledger, report, tested, onInserted, onEnded }: RowWatchOptions) {
  function applied(core: StoreCore, call: StoreCall, answer: StoreAnswer): void {
    if (answer.kind === "threw") return;
    switch (call.name) {
      case "insertJobs":
        inserted(core, answer.result as readonly InsertResult[]);
        break;
      case "updateJobs":
        for (const update of call.args[0]) written(core, update);
        break;
      case "deleteJob":
        deleted(core, call.args[0]);
        break;
      case "leaveRequest":
        requested(core, call.args[0], call.args[1]);
        break;
      case "claimJobs":
        for (const job of answer.result as readonly Job[]) claimed(core, job);
        break;
      default:
    }
  }

  function inserted(core: StoreCore, results: readonly InsertResult[]): void {
    for (const result of results) {
      if (result.kind !== "inserted") continue;
      ledger.take(core, result.job);
      onInserted(result.job.spec.labels.plan ?? "");
    }
  }

  function written(core: StoreCore, update: JobUpdate): void {
    const { before, after } = ledger.take(core, update);
    if (before === undefined || after === undefined || before === after) return;
    if (isDeepStrictEqual(before, after)) return;
    const { workerId, term } = update.owner;
    const who = `${workerId} term ${term} on ${nameOf(before)}`;
    tested(Promised.Fence);
    if (before.version !== update.version)
      report(Promised.Fence, `${who}: wrote on version ${before.version}, meant ${update.version}`);
    if (before.owner?.workerId !== workerId || before.owner?.term !== term)
      report(Promised.Fence, `${who}: the row is ${before.owner?.workerId} term ${before.owner?.term}'s`);
    judgeChange(core, before, after);
    judgeRequests(before, after, who);
  }

  function judgeChange(core: StoreCore, before: Job, after: Job): void {
    if (isTerminal(before.status) && before.status !== after.status)
      report(Promised.Transitions, `${nameOf(before)}: ${before.status} became ${after.status}`);
    if (before.status !== after.status) {
      tested(Promised.Transitions);
      tested(Promised.Events);
      if (!mayBecome(before.status, after.status))
        report(Promised.Transitions, `${nameOf(before)}: ${before.status} became ${after.status}`);
      judgeEvent(core, before, after);
      if (after.status === JobStatus.Cancelled && after.cancelRequestedAtMs === undefined)
        report(Promised.TrueEnd, `${nameOf(after)}: CANCELLED, which nobody asked for`);
      if (isTerminal(after.status)) onEnded(after);
    }
    if (after.attempt > before.attempt) tested(Promised.Attempts);
    if (after.attempt - 1 - after.unstartedAttempts > after.spec.maxRetries)
      report(Promised.Attempts, `${nameOf(after)}: attempt ${after.attempt}`);
  }

  function judgeEvent(core: StoreCore, before: Job, after: Job): void {
    const event = core.listEvents(after).at(-1);
    const fits = event?.seq === after.version && event.from === before.status && event.to === after.status;
    if (!fits)
      report(
        Promised.Events,
        `${nameOf(after)}: ${before.status} became ${after.status} at version ${after.version}, and its last event is ${JSON.stringify(event)}`,
      );
  }

  function judgeRequests(before: Job, after: Job, who: string): void {
    if (
      before.cancelRequestedAtMs !== after.cancelRequestedAtMs ||
      before.deleteRequestedAtMs !== after.deleteRequestedAtMs
    )
      report(Promised.RequestsStay, `${who}: changed a request`);
  }

  function deleted(core: StoreCore, deletion: Deletion): void {
    const { before, after } = ledger.take(core, deletion);
    if (before === undefined || after !== undefined) return;
    tested(Promised.Fence);
    const { workerId, term } = deletion.owner;
    const who = `${workerId} term ${term} on ${nameOf(before)}`;
    if (
      before.version !== deletion.version ||
      before.owner?.workerId !== workerId ||
      before.owner?.term !== term
    )
      report(Promised.Fence, `${who}: removed a row that was not as it meant`);
    if (!isTerminal(before.status) || before.deleteRequestedAtMs === undefined)
      report(Promised.Durable, `${who}: removed a row that nobody asked to remove`);
  }

  function requested(core: StoreCore, ref: { tenantId: string; jobId: string }, kind: RequestKind): void {
    const { before, after } = ledger.take(core, ref);
    if (before === undefined || after === undefined || before === after) return;
    tested(Promised.RequestsStay);
    const column = kind === "cancel" ? "cancelRequestedAtMs" : "deleteRequestedAtMs";
    if (before[column] !== undefined && before[column] !== after[column])
      report(Promised.RequestsStay, `${nameOf(before)}: a second ${kind} replaced the first`);
    const rest = { [column]: undefined, version: 0, updatedAtMs: 0 };
    if (!isDeepStrictEqual({ ...before, ...rest }, { ...after, ...rest }))
      report(Promised.RequestsStay, `${nameOf(before)}: a ${kind} request changed more than its column`);
  }

  function claimed(core: StoreCore, job: Job): void {
    const { before, after } = ledger.take(core, job);
    if (before?.owner === undefined || after?.owner === undefined) return;
    tested(Promised.ClaimOfTheDead);
    const { workerId, term } = before.owner;
    const row = ledger.workers.get(workerId);
    const isOver = row !== undefined && (row.term > term || (row.term === term && row.over));
    if (!isOver)
      report(
        Promised.ClaimOfTheDead,
        `${after.owner.workerId} took ${nameOf(job)} from ${workerId} term ${term}, which is open`,
      );
  }

  return { applied };
}

/** By the plan that it came of, and the end of its id. */
export function nameOf(job: Job): string {
  return `${job.spec.labels.plan ?? "job"} (…${job.jobId.slice(-6)})`;
}
