import type { JobRef } from "#pkg/job/index.ts";
import type { RequestKind } from "#pkg/store/index.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";
import { isNotFound, type Told } from "#test/simulation/world/caller.ts";
import type { Ledger } from "./ledger.ts";
import { Promised, type Report, type Tested } from "./promise.ts";

export interface CallerWatchOptions {
  readonly ledger: Ledger;
  readonly report: Report;
  readonly tested: Tested;
  readonly core: () => StoreCore;
}

export interface CallerWatch extends Told {
  /** Whether a call that asks for this was sent. */
  isAsked(kind: RequestKind, ref: JobRef): boolean;
  /** A row of a job that came of this plan was inserted. */
  onInserted(plan: string): void;
  /** Every job that was ever told is there still. */
  check(): void;
}

/** Judges what callers are told, against what the database holds. */
export function createCallerWatch({ ledger, report, tested, core }: CallerWatchOptions): CallerWatch {
  /** By `tenant/key`: the job that was named first. */
  const firsts = new Map<string, string>();
  const named = new Map<string, string>();
  /** By plan: how many calls for a job of it were sent. */
  const asked = new Map<string, number>();
  /** Cancels and deletes that were asked for, by `requestOf`. */
  const requests = new Set<string>();
  const requestOf = (kind: RequestKind, { tenantId, jobId }: JobRef) => `${kind} ${tenantId}/${jobId}`;

  function exists(tenantId: string, jobId: string): boolean {
    if (core().getJobs([{ tenantId, jobId }]).length > 0) return true;
    // Gone: only because somebody asked for it, and then it left a tombstone.
    const last = ledger.jobs.get(jobId);
    return last?.deleteRequestedAtMs !== undefined && core().hasTombstone({ tenantId, jobId });
  }

  return {
    onAsked(plan) {
      asked.set(plan, (asked.get(plan) ?? 0) + 1);
    },
    onInserted(plan) {
      tested(Promised.OncePerCall);
      const rows = [...ledger.jobs.values()].filter((job) => job.spec.labels.plan === plan);
      if (rows.length > (asked.get(plan) ?? 0))
        report(Promised.OncePerCall, `${rows.length} jobs of ${plan} for ${asked.get(plan) ?? 0} calls`);
    },
    onNamed(tenant, jobId, key) {
      named.set(jobId, tenant);
      tested(Promised.Durable);
      if (!exists(tenant, jobId)) report(Promised.Durable, `job ${jobId} was told and is not there`);
      if (key === undefined) return;
      const name = `${tenant}/${key}`;
      const first = firsts.get(name);
      if (first !== undefined) tested(Promised.Repeats);
      if (first === undefined) firsts.set(name, jobId);
      else if (first !== jobId) report(Promised.Repeats, `${name} named ${first}, then ${jobId}`);
    },
    onRequesting(kind, tenantId, jobId) {
      requests.add(requestOf(kind, { tenantId, jobId }));
    },
    isAsked: (kind, ref) => requests.has(requestOf(kind, ref)),
    onRequested(kind, tenant, jobId) {
      tested(Promised.RequestsStay);
      const last = ledger.jobs.get(jobId);
      const column = kind === "cancel" ? last?.cancelRequestedAtMs : last?.deleteRequestedAtMs;
      const isDone = kind === "cancel" ? last?.status === "CANCELLED" : ledger.removed.has(jobId);
      if (column === undefined && !isDone)
        report(
          Promised.RequestsStay,
          `the ${kind} of ${tenant}'s ${jobId} was answered, and is not on its row`,
        );
    },
    onSpied(what, jobId, answer) {
      if (answer.kind !== "failed") tested(Promised.Isolation);
      if (!isNotFound(answer))
        report(Promised.Isolation, `${what} of another tenant's ${jobId}: ${answer.kind}`);
    },
    onListed(tenant, jobs) {
      for (const job of jobs) {
        if (job.tenantId !== tenant) report(Promised.Isolation, `${tenant} was listed ${job.tenantId}'s job`);
      }
    },
    check() {
      for (const [jobId, tenant] of named) {
        if (!exists(tenant, jobId)) report(Promised.Durable, `job ${jobId} was told and is gone`);
      }
    },
  };
}
