import type { JobStatus as ProtoStatus } from "#gen/jennah/v1/job_pb.js";
import { NotFoundError } from "#pkg/errors/index.ts";
import { isTerminal, type Job, type JobRef } from "#pkg/job/index.ts";
import { statusFromProto } from "#pkg/rpc/job-to-proto.ts";
import type { RequestKind } from "#pkg/store/index.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";
import { isNotFound, type Told } from "#test/simulation/world/caller.ts";
import type { RpcAnswer } from "#test/simulation/world/gateway.ts";
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

/** What an answer tells of a job. */
interface ToldJob {
  readonly jobId: string;
  readonly tenantId?: string;
  readonly status?: ProtoStatus;
}

interface ToldList {
  readonly jobs: readonly ToldJob[];
  readonly nextPageToken: string;
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

  /** The tenant's jobs that a list shows now. */
  function listed(tenantId: string): ReadonlyMap<string, Job> {
    const jobs = [...ledger.jobs.values()].filter(
      (job) =>
        job.tenantId === tenantId && !ledger.removed.has(job.jobId) && job.deleteRequestedAtMs === undefined,
    );
    return new Map(jobs.map((job) => [job.jobId, job]));
  }

  /** `before`: the row when the question was sent. Statuses in between are not known here, so only ends are judged. */
  function judgeTold(tenant: string, { jobId, tenantId, status }: ToldJob, before: Job | undefined): void {
    if (tenantId !== undefined && tenantId !== tenant)
      report(Promised.Isolation, `${tenant} was told of ${tenantId}'s job`);
    const row = ledger.jobs.get(jobId);
    if (status === undefined || row === undefined) return;
    tested(Promised.TrueAnswers);
    const word = statusFromProto(status);
    const wasOver = before?.jobId === jobId && isTerminal(before.status);
    const isToldOver = word !== undefined && isTerminal(word);
    if ((wasOver || isToldOver) && word !== row.status)
      report(Promised.TrueAnswers, `${jobId} is ${row.status}, and was told to be ${word}`);
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
    onAsking(tenant, jobId) {
      const before = ledger.jobs.get(jobId);
      return (answer) => {
        if (isRefusedAsUnknown(answer) && !requests.has(requestOf("delete", { tenantId: tenant, jobId })))
          report(Promised.Durable, `job ${jobId} was told and is answered as one that never was`);
        if (answer.kind === "answered") judgeTold(tenant, toldIn(answer.response), before);
      };
    },
    onListing(tenant) {
      const before = listed(tenant);
      return (answer) => {
        if (answer.kind !== "answered") return;
        const { jobs, nextPageToken } = answer.response as ToldList;
        for (const job of jobs) judgeTold(tenant, job, before.get(job.jobId));
        if (new Set(jobs.map(({ jobId }) => jobId)).size < jobs.length)
          report(Promised.TrueAnswers, `${tenant} was listed a job twice`);
        // A page may be short; what follows it is not asked for.
        if (nextPageToken !== "") return;
        for (const jobId of listed(tenant).keys()) {
          if (before.has(jobId) && !jobs.some((job) => job.jobId === jobId))
            report(Promised.TrueAnswers, `${tenant}'s ${jobId} is missing from its list`);
        }
      };
    },
    check() {
      for (const [jobId, tenant] of named) {
        if (!exists(tenant, jobId)) report(Promised.Durable, `job ${jobId} was told and is gone`);
      }
    },
  };
}

/** The job of a reply: in GetJob's it is a part of its own. */
function toldIn(response: unknown): ToldJob {
  const reply = response as ToldJob & { readonly job?: ToldJob };
  return reply.job ?? reply;
}

function isRefusedAsUnknown(answer: RpcAnswer): boolean {
  return answer.kind === "refused" && answer.error instanceof NotFoundError;
}
