import { EventType, isActive, type Job, type JobRef } from "#pkg/job/index.ts";
import type { ClaimRequest, DeadTerms } from "#pkg/store/jobs.ts";
import type { Database } from "./database.ts";
import { appendEvent } from "./events.ts";
import { getJobs } from "./get.ts";
import { type Reader, type Sql, sql } from "./reader.ts";
import { ownerBindings, refBindings, writeBindings } from "./rows.ts";
import type { Transaction } from "./transaction.ts";
import { type Bindings, integer, integers, moment, text, texts } from "./values.ts";

/** (a): active jobs of terms that are over. The index holds active jobs of owners alone. */
export const LEFT_BEHIND = sql`
  SELECT Found.TenantId, Found.JobId
  FROM UNNEST(@Workers) AS Dead WITH OFFSET AS Place CROSS JOIN UNNEST(ARRAY(
    SELECT AS STRUCT TenantId, JobId FROM Jobs@{FORCE_INDEX=JobsOwned, spanner_emulator.disable_query_null_filtered_index_check=true}
    WHERE ActiveOwner IS NOT NULL AND ActiveOwner = Dead AND OwnerTerm IS NOT NULL
      AND OwnerTerm > @After[OFFSET(Place)] AND OwnerTerm <= @Through[OFFSET(Place)]
      AND Target IN UNNEST(@Targets) AND Level <= @Level
    LIMIT @Limit)) AS Found
  LIMIT @Limit`;

/** (b): requests that terms left undone; their terms may be "emptied", because finished jobs can carry them too. */
export const REQUESTS_LEFT_BEHIND = sql`
  SELECT Found.TenantId, Found.JobId
  FROM UNNEST(@Workers) AS Dead WITH OFFSET AS Place CROSS JOIN UNNEST(ARRAY(
    SELECT AS STRUCT TenantId, JobId FROM Jobs@{FORCE_INDEX=JobsRequested, spanner_emulator.disable_query_null_filtered_index_check=true}
    WHERE RequestOwner IS NOT NULL AND RequestOwner = Dead AND OwnerTerm <= @Through[OFFSET(Place)]
      AND Target IN UNNEST(@Targets) AND Level <= @Level
    LIMIT @Limit)) AS Found
  LIMIT @Limit`;

/** (c) with a request, and (d). */
export const UNOWNED_REQUESTS = sql`
  SELECT TenantId, JobId FROM Jobs@{FORCE_INDEX=JobsRequested, spanner_emulator.disable_query_null_filtered_index_check=true}
  WHERE RequestOwner IS NOT NULL AND RequestOwner = '' AND Status IN ('PENDING', 'RUNNING')
    AND (Target IN UNNEST(@Targets) OR (CreatePhase = 'INTENDED' AND Target NOT IN UNNEST(@Living)))
    AND Level <= @Level
  ORDER BY Priority DESC, CreatedAt, JobId LIMIT @Limit`;

/** (c), new work: the runs of each target and shard, in the order of the index, merged. */
export const UNOWNED = sql`
  SELECT Found.TenantId, Found.JobId
  FROM UNNEST(@Targets) AS Served CROSS JOIN UNNEST(GENERATE_ARRAY(0, 15)) AS Part CROSS JOIN UNNEST(ARRAY(
    SELECT AS STRUCT TenantId, JobId, Priority, CreatedAt FROM Jobs@{FORCE_INDEX=JobsUnowned, spanner_emulator.disable_query_null_filtered_index_check=true}
    WHERE UnownedTarget IS NOT NULL AND UnownedTarget = Served AND Shard = Part
      AND Level <= @Level AND (DueAt IS NULL OR DueAt <= @Now)
    ORDER BY Priority DESC, CreatedAt, JobId LIMIT @Limit)) AS Found
  ORDER BY Found.Priority DESC, Found.CreatedAt, Found.JobId LIMIT @Limit`;

export const ANY_LEFT = sql`
  SELECT 1 AS Found FROM Jobs@{FORCE_INDEX=JobsOwned, spanner_emulator.disable_query_null_filtered_index_check=true}
  WHERE ActiveOwner IS NOT NULL AND ActiveOwner = @Worker AND OwnerTerm IS NOT NULL
    AND OwnerTerm > @After AND OwnerTerm <= @Through
  LIMIT 1`;

/**
 * Takes one batch. It is searched for outside of the transaction, and each row that was found is read again inside it: a
 * search inside would lock what lies between the rows, and every insert would wait for every claim. Candidates that a peer
 * took meanwhile are searched for anew, so a batch is short only when no more was there. When that fails, what was taken before
 * is the claimer's all the same, and so may be what was in doubt: a claimer that is not answered looks for what it owns.
 */
export async function claimJobs(db: Database, request: ClaimRequest): Promise<readonly Job[]> {
  const taken: Job[] = [];
  for (;;) {
    const wanted = request.limit - taken.length;
    const candidates = await search(db, request, wanted);
    if (candidates.length > 0)
      taken.push(...(await db.transact((each) => takeAll(each, request, candidates))));
    if (candidates.length < wanted || taken.length === request.limit) return taken;
  }
}

export async function hasJobsOf(db: Reader, dead: DeadTerms): Promise<boolean> {
  const found = await db.query(ANY_LEFT, {
    Worker: text(dead.workerId),
    After: integer(dead.afterTerm),
    Through: integer(dead.throughTerm),
  });
  return found.length > 0;
}

/** What dead terms left comes before what nobody had: somebody may be waiting for it. */
async function search(db: Reader, request: ClaimRequest, limit: number): Promise<readonly JobRef[]> {
  const { dead, targets, livingTargets } = request;
  const common = { Targets: texts(targets), Level: integer(request.level), Limit: integer(limit) };
  const left = {
    ...common,
    Workers: texts(dead.map((each) => each.workerId)),
    Through: integers(dead.map((each) => each.throughTerm)),
  };
  const isAnyDead = dead.length > 0 && targets.length > 0;
  const runs = await Promise.all([
    refsOf(db, isAnyDead, LEFT_BEHIND, { ...left, After: integers(dead.map((each) => each.afterTerm)) }),
    refsOf(db, isAnyDead, REQUESTS_LEFT_BEHIND, left),
    refsOf(db, true, UNOWNED_REQUESTS, { ...common, Living: texts(livingTargets) }),
    refsOf(db, request.includeUnowned && targets.length > 0, UNOWNED, {
      ...common,
      Now: moment(request.nowMs),
    }),
  ]);
  const distinct = new Map(runs.flat().map((ref) => [JSON.stringify([ref.tenantId, ref.jobId]), ref]));
  return [...distinct.values()].slice(0, limit);
}

async function refsOf(
  db: Reader,
  isWanted: boolean,
  statement: Sql,
  parameters: Bindings,
): Promise<readonly JobRef[]> {
  if (!isWanted) return [];
  const rows = await db.query(statement, parameters);
  return rows.map((row) => ({ tenantId: row.TenantId as string, jobId: row.JobId as string }));
}

async function takeAll(
  transaction: Transaction,
  request: ClaimRequest,
  candidates: readonly JobRef[],
): Promise<readonly Job[]> {
  const jobs = await getJobs(transaction, candidates);
  return jobs.filter((job) => mayTake(job, request)).map((job) => take(transaction, request, job));
}

/** The conditions of `ClaimRequest`, on a row as it is now. */
function mayTake(job: Job, request: ClaimRequest): boolean {
  const { owner, status, level } = job;
  if (level > request.level) return false;
  const isRequested =
    (job.cancelRequestedAtMs !== undefined && isActive(status)) || job.deleteRequestedAtMs !== undefined;
  const isServed = request.targets.includes(job.target);
  if (owner !== undefined) {
    const isLeft = ({ workerId, afterTerm, throughTerm }: DeadTerms) =>
      owner.workerId === workerId &&
      owner.term <= throughTerm &&
      (isRequested || (isActive(status) && owner.term > afterTerm));
    return isServed && request.dead.some(isLeft);
  }
  if (!isActive(status)) return false;
  if (!isServed) {
    return isRequested && job.createPhase === "INTENDED" && !request.livingTargets.includes(job.target);
  }
  const isDue = job.dueAtMs === undefined || job.dueAtMs <= request.nowMs;
  return isRequested || (request.includeUnowned && isDue);
}

function take(transaction: Transaction, { claimer, nowMs }: ClaimRequest, before: Job): Job {
  const job: Job = { ...before, owner: claimer, version: before.version + 1, updatedAtMs: nowMs };
  transaction.update("Jobs", { ...refBindings(job), ...ownerBindings(claimer), ...writeBindings(job) });
  appendEvent(transaction, job, {
    seq: job.version,
    type: EventType.Claimed,
    from: job.status,
    to: job.status,
    reason: before.owner === undefined ? "" : `from ${before.owner.workerId} term ${before.owner.term}`,
    actor: claimer.workerId,
    term: claimer.term,
    atMs: nowMs,
  });
  return job;
}
