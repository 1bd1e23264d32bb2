import { EventType, type Job } from "#pkg/job/index.ts";
import type { InsertResult, NewJob } from "#pkg/store/jobs.ts";
import { type Database, sql } from "./database.ts";
import { appendEvent } from "./events.ts";
import { findKey, getJob, hasTombstone } from "./get.ts";
import { identityBindings, stateBindings } from "./rows.ts";
import type { TenantCache } from "./tenant-cache.ts";

const INSERT = sql`
  INSERT INTO jobs (
    tenant_id, job_id, kind, target, level, spec, priority, sealed_env, sealing_key_id, request_hash, idempotency_key,
    status, attempt, create_phase, unstarted_attempts, provider_job_id, provider_state, error, wait_reason, owner_id,
    owner_term, version, due_at, cancel_requested_at, delete_requested_at, retry_of, created_at, updated_at, started_at,
    completed_at
  ) VALUES (
    :tenant, :job, :kind, :target, :level, :spec, :priority, :sealedEnv, :sealingKeyId, :requestHash, :idempotencyKey,
    :status, :attempt, :createPhase, :unstartedAttempts, :providerJobId, :providerState, :error, :waitReason, :ownerId,
    :ownerTerm, :version, :dueAt, :cancelRequestedAt, :deleteRequestedAt, :retryOf, :createdAt, :updatedAt, :startedAt,
    :completedAt
  )`;

const INSERT_KEY = sql`
  INSERT INTO idempotency_keys (tenant_id, key, job_id, request_hash) VALUES (:tenant, :key, :job, :requestHash)`;

const INSERT_TENANT = sql`
  INSERT INTO tenants (tenant_id, created_at) VALUES (:tenant, :at) ON CONFLICT DO NOTHING`;

const DELETED: InsertResult = { kind: "conflict", reason: "DELETED" };

export function insertJobs(
  db: Database,
  tenants: TenantCache,
  jobs: readonly NewJob[],
): readonly InsertResult[] {
  return jobs.map((job) => earlier(db, job) ?? insertJob(db, tenants, job));
}

/** What an earlier use of the id or the key makes of this insert; undefined when there was none. */
function earlier(db: Database, job: NewJob): InsertResult | undefined {
  const same = getJob(db, job);
  if (same !== undefined) return repeatOf(same);
  if (hasTombstone(db, job)) return DELETED;
  if (job.idempotencyKey === undefined) return undefined;
  const used = findKey(db, job.tenantId, job.idempotencyKey);
  if (used === undefined) return undefined;
  if (used.requestHash !== job.requestHash) return { kind: "conflict", reason: "DIFFERENT_REQUEST" };
  const first = getJob(db, { tenantId: job.tenantId, jobId: used.jobId });
  return first === undefined ? DELETED : repeatOf(first);
}

function repeatOf(job: Job): InsertResult {
  return job.deleteRequestedAtMs === undefined ? { kind: "repeated", job } : DELETED;
}

function insertJob(db: Database, tenants: TenantCache, fresh: NewJob): InsertResult {
  const job: Job = { ...fresh, version: 1, updatedAtMs: fresh.createdAtMs };
  if (!tenants.has(job.tenantId)) {
    db.run(INSERT_TENANT, { tenant: job.tenantId, at: job.createdAtMs });
    tenants.add(job.tenantId);
  }
  db.run(INSERT, { ...identityBindings(job), ...stateBindings(job) });
  if (job.idempotencyKey !== undefined) {
    db.run(INSERT_KEY, {
      tenant: job.tenantId,
      key: job.idempotencyKey,
      job: job.jobId,
      requestHash: job.requestHash,
    });
  }
  appendEvent(db, job, {
    seq: job.version,
    type: EventType.Submitted,
    from: undefined,
    to: job.status,
    reason: "",
    actor: job.owner?.workerId ?? "",
    term: job.owner?.term ?? 0,
    atMs: job.createdAtMs,
  });
  return { kind: "inserted", job };
}
