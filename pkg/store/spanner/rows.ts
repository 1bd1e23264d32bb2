import type { CreatePhase, EventType, Job, JobError, JobEvent, JobSpec, JobStatus } from "#pkg/job/index.ts";
import type { WorkerRecord } from "#pkg/store/workers.ts";
import { type Bindings, bytes, flag, integer, json, moment, type Row, text } from "./values.ts";

// Every column is typed by the schema, and every row is written by this package: so a cast says what is known.

const or = <T>(value: unknown): T | undefined => (value === null ? undefined : (value as T));

/** What `jobOf` reads. */
export const JOB_COLUMNS: readonly string[] = [
  "TenantId",
  "JobId",
  "Kind",
  "Target",
  "Level",
  "Spec",
  "SealedEnv",
  "SealingKeyId",
  "RequestHash",
  "IdempotencyKey",
  "Status",
  "Attempt",
  "CreatePhase",
  "UnstartedAttempts",
  "ProviderJobId",
  "ProviderState",
  "Error",
  "WaitReason",
  "OwnerId",
  "OwnerTerm",
  "Version",
  "DueAt",
  "CancelRequestedAt",
  "DeleteRequestedAt",
  "RetryOf",
  "CreatedAt",
  "UpdatedAt",
  "StartedAt",
  "CompletedAt",
];

export function jobOf(row: Row): Job {
  const ownerId = or<string>(row.OwnerId);
  return {
    tenantId: row.TenantId as string,
    jobId: row.JobId as string,
    kind: row.Kind as string,
    target: row.Target as string,
    level: row.Level as number,
    spec: row.Spec as JobSpec,
    sealedEnv: or<Uint8Array>(row.SealedEnv),
    sealingKeyId: or(row.SealingKeyId),
    requestHash: row.RequestHash as string,
    idempotencyKey: or(row.IdempotencyKey),
    status: row.Status as JobStatus,
    attempt: row.Attempt as number,
    createPhase: row.CreatePhase as CreatePhase,
    unstartedAttempts: row.UnstartedAttempts as number,
    providerJobId: or(row.ProviderJobId),
    providerState: or(row.ProviderState),
    error: or<JobError>(row.Error),
    waitReason: or(row.WaitReason),
    owner: ownerId === undefined ? undefined : { workerId: ownerId, term: row.OwnerTerm as number },
    version: row.Version as number,
    dueAtMs: or(row.DueAt),
    cancelRequestedAtMs: or(row.CancelRequestedAt),
    deleteRequestedAtMs: or(row.DeleteRequestedAt),
    retryOf: or(row.RetryOf),
    createdAtMs: row.CreatedAt as number,
    updatedAtMs: row.UpdatedAt as number,
    startedAtMs: or(row.StartedAt),
    completedAtMs: or(row.CompletedAt),
  };
}

/** A job's primary key as columns. */
export function refBindings(ref: Pick<Job, "tenantId" | "jobId">): Bindings {
  return { TenantId: text(ref.tenantId), JobId: text(ref.jobId) };
}

/** A whole row, for its insert. */
export function jobBindings(job: Job): Bindings {
  return {
    ...refBindings(job),
    Kind: text(job.kind),
    Target: text(job.target),
    Level: integer(job.level),
    Spec: json(job.spec),
    Priority: integer(job.spec.priority),
    SealedEnv: bytes(job.sealedEnv),
    SealingKeyId: text(job.sealingKeyId),
    RequestHash: text(job.requestHash),
    IdempotencyKey: text(job.idempotencyKey),
    CancelRequestedAt: moment(job.cancelRequestedAtMs),
    DeleteRequestedAt: moment(job.deleteRequestedAtMs),
    RetryOf: text(job.retryOf),
    CreatedAt: moment(job.createdAtMs),
    ...stateBindings(job),
    ...writeBindings(job),
  };
}

/** What every write of a row sets. */
export function writeBindings(job: Pick<Job, "version" | "updatedAtMs">): Bindings {
  return { Version: integer(job.version), UpdatedAt: moment(job.updatedAtMs) };
}

export function ownerBindings(owner: Job["owner"]): Bindings {
  return { OwnerId: text(owner?.workerId), OwnerTerm: integer(owner?.term) };
}

/** What an owner may change. The columns of requests are not among it. */
export function stateBindings(job: Job): Bindings {
  return {
    Status: text(job.status),
    Attempt: integer(job.attempt),
    CreatePhase: text(job.createPhase),
    UnstartedAttempts: integer(job.unstartedAttempts),
    ProviderJobId: text(job.providerJobId),
    ProviderState: text(job.providerState),
    Error: json(job.error),
    WaitReason: text(job.waitReason),
    ...ownerBindings(job.owner),
    DueAt: moment(job.dueAtMs),
    StartedAt: moment(job.startedAtMs),
    CompletedAt: moment(job.completedAtMs),
  };
}

export function eventBindings(ref: Pick<Job, "tenantId" | "jobId">, event: JobEvent): Bindings {
  return {
    ...refBindings(ref),
    Seq: integer(event.seq),
    Type: text(event.type),
    FromStatus: text(event.from),
    ToStatus: text(event.to),
    Reason: text(event.reason),
    Actor: text(event.actor),
    Term: integer(event.term),
    OccurredAt: moment(event.atMs),
  };
}

export function eventOf(row: Row): JobEvent {
  return {
    seq: row.Seq as number,
    type: row.Type as EventType,
    from: or(row.FromStatus),
    to: row.ToStatus as JobStatus,
    reason: row.Reason as string,
    actor: row.Actor as string,
    term: row.Term as number,
    atMs: row.OccurredAt as number,
  };
}

export const WORKER_COLUMNS: readonly string[] = [
  "WorkerId",
  "Term",
  "IsOver",
  "Beat",
  "EmptiedThrough",
  "Instance",
  "Url",
  "Version",
  "Level",
  "Targets",
  "Kinds",
  "Intent",
  "Capacity",
  "Load",
];

export function workerOf(row: Row): WorkerRecord {
  return {
    workerId: row.WorkerId as string,
    term: row.Term as number,
    over: row.IsOver as boolean,
    beat: row.Beat as number,
    emptiedThrough: row.EmptiedThrough as number,
    instance: row.Instance as string,
    url: or(row.Url),
    version: row.Version as string,
    level: row.Level as number,
    targets: row.Targets as string[],
    kinds: row.Kinds as string[],
    capacity: row.Capacity as number,
    load: row.Load as number,
    draining: row.Intent === "LEAVE",
  };
}

export function workerBindings(worker: WorkerRecord): Bindings {
  return {
    WorkerId: text(worker.workerId),
    Term: integer(worker.term),
    IsOver: flag(worker.over),
    Beat: integer(worker.beat),
    EmptiedThrough: integer(worker.emptiedThrough),
    Instance: text(worker.instance),
    Url: text(worker.url),
    Version: text(worker.version),
    Level: integer(worker.level),
    Targets: json(worker.targets),
    Kinds: json(worker.kinds),
    Intent: text(worker.draining ? "LEAVE" : "SERVE"),
    Capacity: integer(worker.capacity),
    Load: integer(worker.load),
  };
}
