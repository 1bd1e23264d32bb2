import type { CreatePhase, EventType, Job, JobError, JobEvent, JobSpec, JobStatus } from "#pkg/job/index.ts";
import type { WorkerRecord } from "#pkg/store/workers.ts";
import type { Bindings, Row } from "./database.ts";

// Every column is typed by the schema (STRICT), and every row is written by this package: so a cast says what is known.

const or = <T>(value: unknown): T | undefined => (value === null ? undefined : (value as T));

export function jobOf(row: Row): Job {
  const error = or<string>(row.error);
  const ownerId = or<string>(row.owner_id);
  return {
    tenantId: row.tenant_id as string,
    jobId: row.job_id as string,
    kind: row.kind as string,
    target: row.target as string,
    level: row.level as number,
    spec: JSON.parse(row.spec as string) as JobSpec,
    sealedEnv: or<Uint8Array>(row.sealed_env),
    sealingKeyId: or(row.sealing_key_id),
    requestHash: row.request_hash as string,
    idempotencyKey: or(row.idempotency_key),
    status: row.status as JobStatus,
    attempt: row.attempt as number,
    createPhase: row.create_phase as CreatePhase,
    unstartedAttempts: row.unstarted_attempts as number,
    providerJobId: or(row.provider_job_id),
    providerState: or(row.provider_state),
    error: error === undefined ? undefined : (JSON.parse(error) as JobError),
    waitReason: or(row.wait_reason),
    owner: ownerId === undefined ? undefined : { workerId: ownerId, term: row.owner_term as number },
    version: row.version as number,
    dueAtMs: or(row.due_at),
    cancelRequestedAtMs: or(row.cancel_requested_at),
    deleteRequestedAtMs: or(row.delete_requested_at),
    retryOf: or(row.retry_of),
    createdAtMs: row.created_at as number,
    updatedAtMs: row.updated_at as number,
    startedAtMs: or(row.started_at),
    completedAtMs: or(row.completed_at),
  };
}

/** What never changes in a job's row, for its insert. */
export function identityBindings(job: Job): Bindings {
  return {
    kind: job.kind,
    target: job.target,
    level: job.level,
    spec: JSON.stringify(job.spec),
    priority: job.spec.priority,
    sealedEnv: job.sealedEnv ?? null,
    sealingKeyId: job.sealingKeyId ?? null,
    requestHash: job.requestHash,
    idempotencyKey: job.idempotencyKey ?? null,
    cancelRequestedAt: job.cancelRequestedAtMs ?? null,
    deleteRequestedAt: job.deleteRequestedAtMs ?? null,
    retryOf: job.retryOf ?? null,
    createdAt: job.createdAtMs,
  };
}

/** What an owner's write sets, all of it, whatever part of it changed. The columns of requests are not among it. */
export function stateBindings(job: Job): Bindings {
  return {
    tenant: job.tenantId,
    job: job.jobId,
    status: job.status,
    attempt: job.attempt,
    createPhase: job.createPhase,
    unstartedAttempts: job.unstartedAttempts,
    providerJobId: job.providerJobId ?? null,
    providerState: job.providerState ?? null,
    error: job.error === undefined ? null : JSON.stringify(job.error),
    waitReason: job.waitReason ?? null,
    ownerId: job.owner?.workerId ?? null,
    ownerTerm: job.owner?.term ?? null,
    version: job.version,
    dueAt: job.dueAtMs ?? null,
    updatedAt: job.updatedAtMs,
    startedAt: job.startedAtMs ?? null,
    completedAt: job.completedAtMs ?? null,
  };
}

export function eventOf(row: Row): JobEvent {
  return {
    seq: row.seq as number,
    type: row.type as EventType,
    from: or(row.from_status),
    to: row.to_status as JobStatus,
    reason: row.reason as string,
    actor: row.actor as string,
    term: row.term as number,
    atMs: row.at as number,
  };
}

export function workerOf(row: Row): WorkerRecord {
  return {
    workerId: row.worker_id as string,
    term: row.term as number,
    over: row.over === 1,
    beat: row.beat as number,
    emptiedThrough: row.emptied_through as number,
    instance: row.instance as string,
    url: or(row.url),
    version: row.version as string,
    level: row.level as number,
    targets: JSON.parse(row.targets as string) as string[],
    kinds: JSON.parse(row.kinds as string) as string[],
    capacity: row.capacity as number,
    load: row.load as number,
    draining: row.intent === "LEAVE",
  };
}
