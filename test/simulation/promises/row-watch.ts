import { isDeepStrictEqual } from "node:util";
import {
  EventType,
  isTerminal,
  type Job,
  type JobEvent,
  type JobRef,
  JobStatus,
  mayBecome,
  type Owner,
} from "#pkg/job/index.ts";
import type { Deletion, InsertResult, JobUpdate, RequestKind } from "#pkg/store/index.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";
import type { StoreAnswer, StoreCall } from "#test/simulation/world/store-server.ts";
import type { Ledger, Taken } from "./ledger.ts";
import { Promised, type Report, type Tested } from "./promise.ts";

export interface RowWatchOptions {
  readonly ledger: Ledger;
  readonly report: Report;
  readonly tested: Tested;
  /** Told of a row that has just been inserted. */
  readonly onInserted: (plan: string) => void;
  /** Told of a row that has just become terminal. */
  readonly onEnded: (job: Job) => void;
  /** Whether a caller has asked for this. */
  readonly isAsked: (kind: RequestKind, ref: JobRef) => boolean;
}

/** Who made a change. */
type Author = Pick<JobEvent, "actor" | "term">;

/** Judges every change of a job's row, right when it takes effect. */
export function createRowWatch({ ledger, report, tested, onInserted, onEnded, isAsked }: RowWatchOptions) {
  function applied(core: StoreCore, call: StoreCall, answer: StoreAnswer): void {
    if (answer.kind === "threw") return;
    switch (call.name) {
      case "insertJobs":
        for (const [index, result] of (answer.result as readonly InsertResult[]).entries())
          inserted(core, result, call.args[0][index]);
        break;
      case "updateJobs":
        for (const update of call.args[0]) written(core, update);
        break;
      case "deleteJob":
        deleted(core, call.args[0]);
        break;
      case "leaveRequest":
        requested(core, ...call.args);
        break;
      case "claimJobs":
        claimed(core, answer.result as readonly Job[], call.args[0].claimer);
        break;
      default:
    }
  }

  function inserted(core: StoreCore, result: InsertResult, ref: JobRef | undefined): void {
    const row = result.kind === "conflict" ? ref : result.job;
    if (row === undefined) return;
    const taken = ledger.take(core, row);
    const { owner } = taken.after ?? {};
    judgeEvents(taken, { actor: owner?.workerId ?? "", term: owner?.term ?? 0 });
    if (result.kind === "inserted") onInserted(result.job.spec.labels.plan ?? "");
  }

  function written(core: StoreCore, update: JobUpdate): void {
    const taken = ledger.take(core, update);
    const { before, after } = taken;
    const { workerId, term } = update.owner;
    judgeEvents(taken, authorOf(update.owner));
    if (before === undefined || after === undefined || isDeepStrictEqual(before, after)) return;
    const who = `${workerId} term ${term} on ${nameOf(before)}`;
    tested(Promised.Fence);
    if (before.version !== update.version)
      report(Promised.Fence, `${who}: wrote on version ${before.version}, meant ${update.version}`);
    if (before.owner?.workerId !== workerId || before.owner?.term !== term)
      report(Promised.Fence, `${who}: the row is ${before.owner?.workerId} term ${before.owner?.term}'s`);
    judgeChange(before, after);
    judgeRequests(before, after, who);
  }

  function judgeChange(before: Job, after: Job): void {
    if (isTerminal(before.status) && before.status !== after.status)
      report(Promised.Transitions, `${nameOf(before)}: ${before.status} became ${after.status}`);
    if (before.status !== after.status) {
      tested(Promised.Transitions);
      if (!mayBecome(before.status, after.status))
        report(Promised.Transitions, `${nameOf(before)}: ${before.status} became ${after.status}`);
      if (after.status === JobStatus.Cancelled && after.cancelRequestedAtMs === undefined)
        report(Promised.TrueEnd, `${nameOf(after)}: CANCELLED, which nobody asked for`);
      if (isTerminal(after.status)) onEnded(after);
    }
    if (after.attempt > before.attempt) tested(Promised.Attempts);
    if (after.attempt - 1 - after.unstartedAttempts > after.spec.maxRetries)
      report(Promised.Attempts, `${nameOf(after)}: attempt ${after.attempt}`);
  }

  /** One event at most with each change, which it tells of truly, and none without. */
  function judgeEvents({ before, after, added }: Taken, by: Author, changes = 1): void {
    if (after === undefined) return;
    const isNew = before === undefined;
    const told = `version ${after.version} of ${nameOf(after)} by ${by.actor} term ${by.term}`;
    if (added.length > (isDeepStrictEqual(before, after) ? 0 : changes))
      report(Promised.Events, `${told} has ${added.length} new events: ${JSON.stringify(added)}`);
    const event = added.at(-1);
    if (event === undefined) {
      if (before?.status !== after.status)
        report(Promised.Events, `${told} has no event, and ${before?.status} became ${after.status}`);
      return;
    }
    tested(Promised.Events);
    const isTrue =
      event.seq === after.version &&
      event.from === before?.status &&
      event.to === after.status &&
      event.actor === by.actor &&
      event.term === by.term &&
      isNew === (event.type === EventType.Submitted);
    if (!isTrue)
      report(Promised.Events, `${told}, from ${before?.status} to ${after.status}: ${JSON.stringify(event)}`);
  }

  function judgeRequests(before: Job, after: Job, who: string): void {
    if (
      before.cancelRequestedAtMs !== after.cancelRequestedAtMs ||
      before.deleteRequestedAtMs !== after.deleteRequestedAtMs
    )
      report(Promised.RequestsStay, `${who}: changed a request`);
  }

  function deleted(core: StoreCore, deletion: Deletion): void {
    const taken = ledger.take(core, deletion);
    const { before, after } = taken;
    judgeEvents(taken, authorOf(deletion.owner));
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

  function requested(core: StoreCore, ref: JobRef, kind: RequestKind, by: { readonly actor: string }): void {
    const taken = ledger.take(core, ref);
    const { before, after } = taken;
    judgeEvents(taken, { actor: by.actor, term: 0 });
    if (before === undefined || after === undefined || isDeepStrictEqual(before, after)) return;
    tested(Promised.RequestsStay);
    tested(Promised.RequestsAreAsked);
    if (!isAsked(kind, after))
      report(Promised.RequestsAreAsked, `${nameOf(after)}: ${by.actor} left a ${kind}`);
    const column = kind === "cancel" ? "cancelRequestedAtMs" : "deleteRequestedAtMs";
    if (before[column] !== undefined && before[column] !== after[column])
      report(Promised.RequestsStay, `${nameOf(before)}: a second ${kind} replaced the first`);
    const rest = { [column]: undefined, version: 0, updatedAtMs: 0 };
    if (!isDeepStrictEqual({ ...before, ...rest }, { ...after, ...rest }))
      report(Promised.RequestsStay, `${nameOf(before)}: a ${kind} request changed more than its column`);
  }

  function claimed(core: StoreCore, jobs: readonly Job[], claimer: Owner): void {
    // Whoever does not know yet that its own term is over may take a job from that into that, by two searches of one claim.
    const byId = Map.groupBy(jobs, ({ jobId }) => jobId);
    for (const [job, ...again] of byId.values()) {
      if (job !== undefined) claimedOne(core, job, claimer, 1 + again.length);
    }
  }

  function claimedOne(core: StoreCore, job: Job, claimer: Owner, times: number): void {
    const taken = ledger.take(core, job);
    const { before, after } = taken;
    judgeEvents(taken, authorOf(claimer), times);
    const rest = { owner: undefined, version: 0, updatedAtMs: 0 };
    if (!isDeepStrictEqual({ ...before, ...rest }, { ...after, ...rest }))
      report(Promised.Fence, `${nameOf(job)}: a claim changed more than its owner`);
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

  /** At the end: rows and histories are what the operations made of them, and each history tells one story. */
  function check(core: StoreCore): void {
    for (const job of ledger.jobs.values()) {
      const history = ledger.histories.get(job.jobId) ?? [];
      if (!isOneStory(history, job)) report(Promised.Events, `${nameOf(job)}: ${JSON.stringify(history)}`);
      if (ledger.removed.has(job.jobId)) continue;
      if (!isDeepStrictEqual(core.getJobs([job]), [job]))
        report(Promised.Fence, `${nameOf(job)} is not as the last write left it`);
      if (!isDeepStrictEqual(core.listEvents(job), history))
        report(Promised.Events, `${nameOf(job)}: its history was changed: ${JSON.stringify(history)}`);
    }
  }

  return { applied, check };
}

/** From its insertion to how it stands, each event beginning where the one before it ended. */
function isOneStory(history: readonly JobEvent[], { status, version }: Job): boolean {
  const last = history.at(-1);
  if (history[0]?.type !== EventType.Submitted || last?.to !== status || last.seq > version) return false;
  return history.every(({ seq, from }, index) => {
    const before = history[index - 1];
    return from === before?.to && seq > (before?.seq ?? 0);
  });
}

function authorOf({ workerId, term }: Owner): Author {
  return { actor: workerId, term };
}

/** By the plan that it came of, and the end of its id. */
export function nameOf(job: Job): string {
  return `${job.spec.labels.plan ?? "job"} (…${job.jobId.slice(-6)})`;
}
