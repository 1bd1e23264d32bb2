import type { HandlerContext } from "@connectrpc/connect";
import { AlreadyExistsError, InvalidArgumentError, UnavailableError } from "#pkg/errors/index.ts";
import {
  CreatePhase,
  createJobId,
  JOB_LEVEL,
  type Job,
  JobStatus,
  KIND_CONTAINER,
  type Owner,
  requestHashes,
  type ValidatedSpec,
} from "#pkg/job/index.ts";
import { callOf, type RepeatHeaders } from "#pkg/rpc/index.ts";
import type { InsertResult, NewJob } from "#pkg/store/index.ts";
import { type Api, findJob } from "./api.ts";
import { isServed, NO_WORKER } from "./wait-reason.ts";

/** A job that passed every check and is to be committed. */
export interface Acceptance extends ValidatedSpec {
  /** What the caller sent, in one canonical form; tells repeats. */
  readonly request: string;
  readonly repeat: RepeatHeaders;
  readonly retryOf: string | undefined;
  /** `wait_seconds`; undefined takes the worker's own. */
  readonly waitSeconds: number | undefined;
}

/** The target that a job will have: the one it names, else this worker's first. */
export function targetOf(api: Api, { spec }: Pick<ValidatedSpec, "spec">): string {
  const [own = ""] = api.providers.keys();
  return spec.requestedTarget === "" ? own : spec.requestedTarget;
}

/**
 * Asks the target's provider, where it is served here; a job for another target is checked by whoever serves that.
 * @throws InvalidArgumentError with what it cannot honour.
 */
export function checkWithProvider(api: Api, validated: Pick<ValidatedSpec, "spec">): void {
  const violations = api.providers.get(targetOf(api, validated))?.validate(validated.spec) ?? [];
  if (violations.length > 0) throw new InvalidArgumentError(violations);
}

/**
 * Commits a job and, where this worker owns it at once, waits for the cloud's answer. Resolves with the job as it then
 * stands, or with the first job of a repeat.
 * @throws AlreadyExistsError when the key or the id was used for something else.
 */
export async function acceptJob(api: Api, acceptance: Acceptance, context: HandlerContext): Promise<Job> {
  const { log, tenantId } = callOf(context);
  const hashes = requestHashes(api.keyring, tenantId, acceptance.request);
  const fresh = draft(api, acceptance, tenantId, hashes[0]);
  const result = await insert(api, fresh, hashes);
  if (result.kind === "conflict") throw conflictError(result.reason, acceptance.repeat);
  const { job } = result;
  if (result.kind === "repeated" && !isUnbegun(job, fresh)) {
    log.info({ job_id: job.jobId }, "repeat answered with the first job");
    return job;
  }
  log.info({ job_id: job.jobId, target: job.target, owner: job.owner?.workerId }, "job accepted");
  return job.owner === undefined ? job : await begin(api, job, acceptance.waitSeconds, context);
}

/**
 * The first job of a repeat, for a call that cannot be judged any more by what it was judged by then; undefined where its key
 * is free.
 * @throws AlreadyExistsError when the key was used for something else, or its job was deleted.
 */
export async function firstJobOf(
  api: Api,
  { request, repeat }: Pick<Acceptance, "request" | "repeat">,
  context: HandlerContext,
): Promise<Job | undefined> {
  const { tenantId } = callOf(context);
  if (repeat.idempotencyKey === undefined) return undefined;
  const used = await api.store.findKey(tenantId, repeat.idempotencyKey);
  if (used === undefined) return undefined;
  if (!requestHashes(api.keyring, tenantId, request).includes(used.requestHash))
    throw conflictError("DIFFERENT_REQUEST", repeat);
  const job = await findJob(api.store, { tenantId, jobId: used.jobId });
  if (job === undefined) throw conflictError("DELETED", repeat);
  return job;
}

function draft(api: Api, acceptance: Acceptance, tenantId: string, requestHash: string): NewJob {
  const { spec, env, repeat, retryOf } = acceptance;
  const nowMs = api.clock.nowMs();
  const jobId = repeat.jobId ?? createJobId(api.clock, api.entropy);
  const target = targetOf(api, acceptance);
  const isLater = spec.notBeforeMs !== undefined && spec.notBeforeMs > nowMs;
  const sealed = api.keyring.seal({ tenantId, jobId }, env);
  const owner = isLater ? undefined : ownerFor(api, target);
  return {
    tenantId,
    jobId,
    kind: KIND_CONTAINER,
    target,
    level: JOB_LEVEL,
    spec,
    sealedEnv: sealed?.sealedEnv,
    sealingKeyId: sealed?.sealingKeyId,
    requestHash,
    idempotencyKey: repeat.idempotencyKey,
    status: JobStatus.Pending,
    attempt: 1,
    // Who owns it at once creates it at once: the same commit says that a create may begin, which saves one of its own.
    createPhase: owner === undefined ? CreatePhase.Intended : CreatePhase.Begun,
    unstartedAttempts: 0,
    providerJobId: undefined,
    providerState: undefined,
    error: undefined,
    waitReason: isServed(api, target) ? undefined : NO_WORKER,
    owner,
    dueAtMs: isLater ? spec.notBeforeMs : undefined,
    cancelRequestedAtMs: undefined,
    deleteRequestedAtMs: undefined,
    retryOf,
    createdAtMs: nowMs,
    startedAtMs: undefined,
    completedAtMs: undefined,
  };
}

/** This worker, where it can take the job at once. */
function ownerFor(api: Api, target: string): Owner | undefined {
  const isTaking = api.providers.has(target) && !api.draining.aborted;
  return isTaking && api.dispatcher.activeJobs < api.maxActiveJobs ? api.ownership.owner : undefined;
}

/**
 * Inserts the job. A row hashed before the key was changed looks like another request's: so a conflict is asked again with
 * the hash under each older key. Only a row that is there can conflict, so none of these inserts anything new, unless the
 * first was removed for good meanwhile.
 */
async function insert(api: Api, fresh: NewJob, hashes: readonly string[]): Promise<InsertResult> {
  let result: InsertResult = { kind: "conflict", reason: "DIFFERENT_REQUEST" };
  for (const requestHash of hashes) {
    result = await insertOne(api, { ...fresh, requestHash });
    if (result.kind !== "conflict" || result.reason !== "DIFFERENT_REQUEST") break;
  }
  // An id that the gateway minted is repeated with its own request only; anything else is another request.
  if (result.kind === "repeated" && !hashes.includes(result.job.requestHash)) {
    return { kind: "conflict", reason: "DIFFERENT_REQUEST" };
  }
  return result;
}

async function insertOne(api: Api, job: NewJob): Promise<InsertResult> {
  try {
    const [result] = await api.store.insertJobs([job]);
    if (result !== undefined) return result;
  } catch (error) {
    if (job.owner !== undefined) api.ownership.noteLostAnswer();
    throw error;
  }
  throw new UnavailableError("STORE_UNREACHABLE", "the store gave no answer");
}

/** The row is this very call's, committed by an earlier try whose answer was lost, and nobody has begun it. */
function isUnbegun(job: Job, fresh: NewJob): boolean {
  const isMine = job.owner?.workerId === fresh.owner?.workerId && job.owner?.term === fresh.owner?.term;
  return job.jobId === fresh.jobId && isMine && job.version === 1;
}

function conflictError(
  reason: "DIFFERENT_REQUEST" | "DELETED",
  { idempotencyKey }: RepeatHeaders,
): AlreadyExistsError {
  // Without a key it was the id in X-Jennah-Job-Id, which a caller may set who calls a worker itself.
  const name = idempotencyKey === undefined ? "job id" : "Idempotency-Key";
  const words =
    reason === "DELETED"
      ? `the job of this ${name} was deleted; use another for a new job`
      : `this ${name} was used for a different request; use another`;
  return new AlreadyExistsError(reason === "DELETED" ? "JOB_DELETED" : "DIFFERENT_REQUEST", words);
}

async function begin(
  api: Api,
  job: Job,
  waitSeconds: number | undefined,
  context: HandlerContext,
): Promise<Job> {
  const waitMs = waitSeconds === undefined ? api.submitWaitMs : waitSeconds * 1000;
  const enough = new AbortController();
  if (waitMs === 0) enough.abort();
  const timer = api.clock.timer(waitMs, () => enough.abort());
  try {
    return await api.dispatcher.begin(job, AbortSignal.any([enough.signal, api.draining, context.signal]));
  } catch (error) {
    // The job is committed and its owner will go on with it: the caller must learn its id, not of this.
    callOf(context).log.error({ err: error, job_id: job.jobId }, "worker failed to process job");
    return job;
  } finally {
    timer.cancel();
  }
}
