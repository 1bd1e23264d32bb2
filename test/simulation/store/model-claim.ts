import { CreatePhase, EventType, isActive, type Job, type Owner } from "#pkg/job/index.ts";
import type { ClaimRequest, DeadTerms } from "#pkg/store/index.ts";
import type { ChosenClaim } from "./core.ts";
import { carriesRequest, isCancelDue } from "./model-requests.ts";
import { appendEvent, byRef, compare, type ModelState, nameOf, writeJob } from "./model-state.ts";

/**
 * Takes one batch: what dead terms left comes before what nobody had. Each search sees what the one before it took, and
 * what is left of the limit.
 * @param only by `nameOf`: no others are taken. Default: all may be.
 */
export function claimJobs(
  state: ModelState,
  request: ClaimRequest,
  only?: ReadonlySet<string>,
): readonly Job[] {
  const taken: Job[] = [];
  const take = (all: readonly Job[]) => {
    const found = only === undefined ? all : all.filter((job) => only.has(nameOf(job)));
    const room = request.limit - taken.length;
    for (const job of found.slice(0, room)) taken.push(takeOver(state, request, job));
  };
  take(leftBehind(state, request));
  take(requestsLeftBehind(state, request));
  take(unownedRequests(state, request));
  if (request.includeUnowned) take(unowned(state, request));
  return taken;
}

/** The same in two steps, as Spanner claims: it searches outside of the transaction that takes what was found. */
export function chooseClaim(state: ModelState, request: ClaimRequest): ChosenClaim {
  const found = [
    ...leftBehind(state, request),
    ...requestsLeftBehind(state, request),
    ...unownedRequests(state, request),
    ...(request.includeUnowned ? unowned(state, request) : []),
  ];
  const rows = [...new Map(found.map((job) => [nameOf(job), job])).values()].slice(0, request.limit);
  return { rows, take: () => claimJobs(state, request, new Set(rows.map(nameOf))) };
}

/** (a): active jobs of the terms that are named. */
function leftBehind(state: ModelState, request: ClaimRequest): readonly Job[] {
  return request.dead.flatMap((dead) => {
    const found = claimable(state).filter((job) => {
      if (!isActive(job.status)) return false;
      if (!isServed(job, request)) return false;
      return isOfTerms(job.owner, dead);
    });
    return found.sort(byTerm);
  });
}

/** (b): requests that the terms which are named, and all before them, left undone. */
function requestsLeftBehind(state: ModelState, request: ClaimRequest): readonly Job[] {
  return request.dead.flatMap((dead) => {
    const found = claimable(state).filter((job) => {
      if (!carriesRequest(job)) return false;
      if (!isServed(job, request)) return false;
      return isOfTerms(job.owner, { ...dead, afterTerm: 0 });
    });
    return found.sort(byTerm);
  });
}

/** (c) with a request, and (d). */
function unownedRequests(state: ModelState, request: ClaimRequest): readonly Job[] {
  const found = claimable(state).filter((job) => {
    if (job.owner !== undefined) return false;
    if (!isActive(job.status)) return false;
    if (!carriesRequest(job)) return false;
    return isServed(job, request) || isForAnyoneToEnd(job, request);
  });
  return found.sort(byUrgency);
}

/** (c), new work. */
function unowned(state: ModelState, request: ClaimRequest): readonly Job[] {
  const found = claimable(state).filter((job) => {
    if (job.owner !== undefined) return false;
    if (!isActive(job.status)) return false;
    if (job.dueAtMs !== undefined && job.dueAtMs > request.nowMs) return false;
    return isServed(job, request);
  });
  return found.sort(byUrgency);
}

function claimable(state: ModelState): readonly Job[] {
  return [...state.jobs.values()].filter((job) => !state.isLocked(job));
}

function isServed(job: Job, request: ClaimRequest): boolean {
  if (job.level > request.level) return false;
  return request.targets.includes(job.target);
}

/** (d): nobody alive serves its target, and to end it takes no cloud. */
function isForAnyoneToEnd(job: Job, request: ClaimRequest): boolean {
  if (job.level > request.level) return false;
  if (request.livingTargets.includes(job.target)) return false;
  if (job.createPhase !== CreatePhase.Intended) return false;
  return isCancelDue(job);
}

function isOfTerms(owner: Owner | undefined, dead: DeadTerms): boolean {
  if (owner === undefined) return false;
  if (owner.workerId !== dead.workerId) return false;
  if (owner.term <= dead.afterTerm) return false;
  return owner.term <= dead.throughTerm;
}

function takeOver(state: ModelState, request: ClaimRequest, row: Job): Job {
  const { claimer, nowMs } = request;
  const job: Job = { ...row, owner: claimer, version: row.version + 1, updatedAtMs: nowMs };
  writeJob(state, job);
  appendEvent(state, job, {
    seq: job.version,
    type: EventType.Claimed,
    from: job.status,
    to: job.status,
    reason: row.owner === undefined ? "" : `from ${row.owner.workerId} term ${row.owner.term}`,
    actor: claimer.workerId,
    term: claimer.term,
    atMs: nowMs,
  });
  return job;
}

/** Whether an active job of these terms is left. A row that another writer holds counts too: this is no claim. */
export function hasJobsOf(state: ModelState, dead: DeadTerms): boolean {
  const all = [...state.jobs.values()];
  return all.some((job) => isActive(job.status) && isOfTerms(job.owner, dead));
}

/** Of jobs of one worker: by term, then (tenant, id). */
function byTerm(a: Job, b: Job): number {
  return (a.owner?.term ?? 0) - (b.owner?.term ?? 0) || byRef(a, b);
}

/** By priority (high first), then age (old first). */
function byUrgency(a: Job, b: Job): number {
  const byPriority = b.spec.priority - a.spec.priority;
  return byPriority || a.createdAtMs - b.createdAtMs || compare(a.jobId, b.jobId);
}
