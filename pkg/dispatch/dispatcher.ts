// A little over 300 lines: everything that moves a charge from one step to the next, which reads best in one piece.
import { ThrottledError, TrustLapsedError } from "#pkg/batch/index.ts";
import { backoffMs } from "#pkg/clock/index.ts";
import { assertNever, InvariantError, UnavailableError } from "#pkg/errors/index.ts";
import { batchJobIdOf, isActive, type Job, type JobRef, JobStatus, type Owner } from "#pkg/job/index.ts";
import { createLoop, createService } from "#pkg/lifecycle/index.ts";
import { answerWaiters, type Charge, createCharge, fieldsOf, type News, type Progress } from "./charge.ts";
import { createCreateGate } from "./create-gate.ts";
import { decide, firstKnowledge, type Step } from "./decide.ts";
import { cancelled, failed } from "./outcome.ts";
import { createSteps, type Lane } from "./steps.ts";
import { type Dispatcher, type DispatcherOptions, STEP_BACKOFF } from "./types.ts";

/** How often an owner looks for requests on its rows. */
const REQUEST_INTERVAL_MS = 1_000;
const REQUEST_PAGE = 500;

/** What a job does between two steps. */
type Rest = { readonly kind: "rest" } | { readonly kind: "timed"; readonly ms: number };

export function createDispatcher(options: DispatcherOptions): Dispatcher {
  const { store, clock, entropy, log, reign, watcher } = options;
  const stopping = new AbortController();
  const steps = createSteps(options, stopping.signal);
  const charges = new Map<string, Charge>();
  const active = new Set<string>();
  let draining = false;

  const lanes = new Map<string, Lane>(
    options.targets.map(({ provider, budget }) => [
      provider.target,
      {
        provider,
        budget,
        gate: createCreateGate({ clock, entropy, places: provider.capabilities.maxConcurrentCreates }),
      },
    ]),
  );

  function laneOf(job: Job): Lane {
    const lane = lanes.get(job.target);
    if (lane === undefined)
      throw new InvariantError(`job ${job.jobId} of target ${job.target}, which is not served here`);
    return lane;
  }

  /** Whether this is the owner for which this process may act now. */
  function isReigning(owner: Owner | undefined): boolean {
    const { owner: mine } = reign;
    return mine !== undefined && owner?.workerId === mine.workerId && owner.term === mine.term;
  }

  function isBackingOff(target: string): boolean {
    return lanes.get(target)?.gate.isBackingOff ?? false;
  }

  function take(job: Job, fresh: boolean): Charge {
    const settledAtMs = fresh ? 0 : clock.monotonicMs() + options.settleMs;
    const charge = createCharge(job, firstKnowledge(job, settledAtMs, fresh));
    charges.set(job.jobId, charge);
    noteActivity(charge);
    return charge;
  }

  function noteActivity({ job }: Charge): void {
    if (isActive(job.status)) active.add(job.jobId);
    else active.delete(job.jobId);
  }

  function drop(charge: Charge): void {
    const { jobId } = charge.job;
    charge.rest?.cancel();
    answerWaiters(charge);
    if (charges.get(jobId) !== charge) return;
    charges.delete(jobId);
    active.delete(jobId);
    watcher.unwatch(jobId);
  }

  /** Has the job decided about now; when a step is under way, right after it. */
  function kick(charge: Charge): void {
    charge.rest?.cancel();
    if (charge.run !== undefined) {
      charge.again = true;
      charge.wake.abort();
      return;
    }
    charge.run = advance(charge).finally(() => {
      charge.run = undefined;
    });
  }

  async function advance(charge: Charge): Promise<void> {
    while (!draining) {
      charge.again = false;
      charge.wake = new AbortController();
      const progress = await step(charge);
      noteActivity(charge);
      if (progress === "gone" || charges.get(charge.job.jobId) !== charge) return drop(charge);
      if (isAnswered(charge)) answerWaiters(charge);
      if (progress === "moved" || charge.again) continue;
      if (progress.kind === "timed") charge.rest = clock.timer(progress.ms, () => kick(charge));
      return;
    }
    answerWaiters(charge);
  }

  /** The cloud has answered, or will not for now. */
  function isAnswered({ job }: Charge): boolean {
    return job.status !== JobStatus.Pending || job.waitReason !== undefined || isBackingOff(job.target);
  }

  async function step(charge: Charge): Promise<"moved" | "gone" | Rest> {
    let progress: Progress | Rest;
    try {
      progress = await takeStep(charge);
    } catch (error) {
      progress = afterError(charge, error);
    }
    if (progress !== "later") {
      charge.failures = 0;
      return progress;
    }
    charge.failures += 1;
    return { kind: "timed", ms: backoffMs(STEP_BACKOFF, charge.failures, entropy) };
  }

  function afterError(charge: Charge, error: unknown): Progress {
    // Woken while it waited for its turn: nothing was sent.
    if (charge.wake.signal.aborted && error === charge.wake.signal.reason) return "moved";
    if (error instanceof TrustLapsedError) return "later";
    charge.isOutdated = true;
    if (error instanceof ThrottledError) lanes.get(charge.job.target)?.budget.throttled(error.retryAfterMs);
    log.warn({ ...fieldsOf(charge.job), err: error }, "worker failed to process job");
    return "later";
  }

  async function takeStep(charge: Charge): Promise<Progress | Rest> {
    if (charge.isOutdated) {
      if ((await steps.reread(charge)) === "gone") return "gone";
      charge.isOutdated = false;
    }
    const { job } = charge;
    if (charge.known.attempt !== job.attempt)
      charge.known = firstKnowledge(job, charge.known.settledAtMs, false);
    const news = takeNews(charge);
    if (news !== undefined) return steps.observe(charge, laneOf(job), news);
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.nowMs() };
    // One that nobody serves is here to be ended before anything of it has begun, which takes no provider.
    const createIsIdempotent = lanes.get(job.target)?.provider.capabilities.createIsIdempotent ?? false;
    return carryOut(charge, decide(job, charge.known, createIsIdempotent, now), now);
  }

  async function carryOut(
    charge: Charge,
    next: Step,
    now: { readonly monotonicMs: number; readonly wallMs: number },
  ): Promise<Progress | Rest> {
    switch (next.kind) {
      case "forget":
        return "gone";
      case "watch":
        watch(charge);
        if (next.untilMonotonicMs === undefined) return { kind: "rest" };
        return { kind: "timed", ms: next.untilMonotonicMs - now.monotonicMs };
      case "wait":
        if ("untilWallMs" in next) return { kind: "timed", ms: next.untilWallMs - now.wallMs };
        return { kind: "timed", ms: next.untilMonotonicMs - now.monotonicMs };
      case "cancel":
        return steps.write(charge, cancelled());
      case "fail":
        return steps.write(charge, failed({ reason: next.reason, message: next.message }));
      case "create":
        return steps.create(charge, laneOf(charge.job));
      case "look":
        return steps.look(charge, laneOf(charge.job));
      case "terminate":
        return steps.terminate(charge, laneOf(charge.job));
      case "remove":
        return steps.remove(charge, lanes.get(charge.job.target));
      default:
        return assertNever(next);
    }
  }

  function watch({ job }: Charge): void {
    const batchJobId = batchJobIdOf(options.deploymentId, job.jobId, job.attempt);
    watcher.watch({ jobId: job.jobId, target: job.target, batchJobId, sinceMs: job.updatedAtMs });
  }

  /** What the cloud told, if it is about the attempt that runs. */
  function takeNews(charge: Charge): News["state"] | undefined {
    const { news, job } = charge;
    charge.news = undefined;
    const current = batchJobIdOf(options.deploymentId, job.jobId, job.attempt);
    return news?.batchJobId === current && job.status === JobStatus.Running ? news.state : undefined;
  }

  const requests = createLoop({
    name: "dispatch-requests",
    clock,
    intervalMs: () => REQUEST_INTERVAL_MS,
    step: findRequests,
    onError: (error) => log.warn({ err: error }, "looking for requests failed"),
  });

  async function findRequests(): Promise<void> {
    const { owner } = reign;
    if (owner === undefined) return;
    let after: JobRef | undefined;
    for (;;) {
      const jobs: readonly Job[] = await store.findRequests(owner, after, REQUEST_PAGE);
      if (reign.owner?.term !== owner.term) return;
      for (const job of jobs) heed(job);
      after = jobs.at(-1);
      if (after === undefined || jobs.length < REQUEST_PAGE) return;
    }
  }

  /**
   * A row of ours, as it stood when it was asked for. It may have ended since and been forgotten: so whoever is not in charge
   * of it reads it again before anything else.
   */
  function heed(job: Job): void {
    const charge = charges.get(job.jobId);
    if (charge === undefined) refresh(take(job, false));
    else if (job.version > charge.job.version) refresh(charge);
  }

  function refresh(charge: Charge): void {
    charge.isOutdated = true;
    kick(charge);
  }

  async function rest(): Promise<void> {
    draining = true;
    await requests.stop();
    for (const charge of charges.values()) {
      charge.rest?.cancel();
      charge.wake.abort();
      answerWaiters(charge);
    }
    await Promise.all([...charges.values()].map((charge) => charge.run));
  }

  const service = createService({
    name: "dispatch",
    start: () => requests.start(),
    drain: rest,
    async stop() {
      stopping.abort(new UnavailableError("STOPPING", "the worker stops"));
      await rest();
      charges.clear();
      active.clear();
    },
  });

  return Object.defineProperties(
    {
      get activeJobs() {
        return active.size;
      },
      begin(job: Job, signal: AbortSignal) {
        // Committed under a term that was lost meanwhile: whoever claims it goes on with it, and that may be this worker.
        if (!isReigning(job.owner)) return Promise.resolve(job);
        const charge = charges.get(job.jobId) ?? take(job, true);
        // Whoever calls a worker itself may name an id, another tenant's too: that one's job is nothing to this caller. A batch
        // job has but one name, so the second waits for the first to end.
        if (charge.job.tenantId !== job.tenantId) return Promise.resolve(job);
        if (draining || isBackingOff(job.target) || signal.aborted) {
          kick(charge);
          return Promise.resolve(job);
        }
        const answered = Promise.withResolvers<Job>();
        charge.waiters.add(answered.resolve);
        const onAbort = () => {
          charge.waiters.delete(answered.resolve);
          answered.resolve(charge.job);
        };
        signal.addEventListener("abort", onAbort, { once: true });
        kick(charge);
        return answered.promise.finally(() => signal.removeEventListener("abort", onAbort));
      },
      takeOver(jobs: readonly Job[]) {
        for (const job of jobs) {
          if (!charges.has(job.jobId)) kick(take(job, false));
        }
      },
      found(jobs: readonly Job[]) {
        for (const job of jobs) heed(job);
      },
      requested(job: Job) {
        const charge = charges.get(job.jobId);
        if (charge !== undefined) refresh(charge);
        else if (isReigning(job.owner)) heed(job);
      },
      observed(jobId: string, batchJobId: string, state: News["state"]) {
        const charge = charges.get(jobId);
        if (charge === undefined) return;
        charge.news = { batchJobId, state };
        kick(charge);
      },
      forgetAll() {
        for (const charge of charges.values()) {
          charge.wake.abort();
          drop(charge);
        }
      },
    },
    Object.getOwnPropertyDescriptors(service),
  ) as Dispatcher;
}
