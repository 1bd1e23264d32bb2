import { type CreateOutcome, TrustLapsedError } from "#pkg/batch/index.ts";
import { type Backoff, backoffMs } from "#pkg/clock/index.ts";
import { InvariantError } from "#pkg/errors/index.ts";
import { batchJobIdOf, CreatePhase, EventType, type Job } from "#pkg/job/index.ts";
import { createCalls } from "./calls.ts";
import { type Charge, fieldsOf, type News, type Progress } from "./charge.ts";
import type { CreateGate } from "./create-gate.ts";
import { isInDoubt } from "./decide.ts";
import {
  accepted,
  afterCreate,
  afterObservation,
  cancelled,
  failed,
  PROVIDER_LOST,
  type Write,
} from "./outcome.ts";
import { createRows, type Rows } from "./rows.ts";
import { CALL_TIMEOUT_MS, type DispatcherOptions, KEY_MS, type ServedTarget, TOMBSTONE_MS } from "./types.ts";

/** A target with the gate before its creates. */
export interface Lane extends ServedTarget {
  readonly gate: CreateGate;
}

/** The steps of the table, each carried out once. All of them leave the charge's row and knowledge as they now are. */
export interface Steps extends Rows {
  /** Waits for a place in the gate, commits BEGUN where the row does not say so, then sends one create. */
  create(charge: Charge, lane: Lane): Promise<Progress>;
  look(charge: Charge, lane: Lane): Promise<Progress>;
  terminate(charge: Charge, lane: Lane): Promise<Progress>;
  /** `lane` may be missing where nothing of the job has ever begun. */
  remove(charge: Charge, lane: Lane | undefined): Promise<Progress>;
  /** What the cloud told of a batch job that it has, or that it has it no more. */
  observe(charge: Charge, lane: Lane, state: News["state"]): Promise<Progress>;
}

/** @param stopping aborts when the process ends without waiting for calls under way. */
export function createSteps(options: DispatcherOptions, stopping: AbortSignal): Steps {
  const { store, clock, log, settleMs } = options;
  const rows = createRows(options);
  const { write, reread } = rows;
  const { trusted, untrusted } = createCalls(options, stopping);

  function batchJobId(job: Job): string {
    return batchJobIdOf(options.deploymentId, job.jobId, job.attempt);
  }

  /** A create of this attempt is about to leave: from now on there is doubt, until an answer takes it away. */
  function doubtFromNow(charge: Charge): void {
    charge.known = {
      ...charge.known,
      doubt: true,
      absentLookAtMs: undefined,
      settledAtMs: Math.max(charge.known.settledAtMs, clock.monotonicMs() + CALL_TIMEOUT_MS + settleMs),
    };
  }

  async function create(charge: Charge, lane: Lane): Promise<Progress> {
    // The place in the gate comes first, so that what waits for one is not in doubt.
    const leave = await lane.gate.enter(charge.job.spec.priority, charge.wake.signal);
    try {
      await lane.budget.take(charge.wake.signal);
      if (await commitBegun(charge)) return await createOnce(charge, lane);
      // The row was not as it was known (a cancel was requested): whether to create is decided anew.
      return await reread(charge);
    } finally {
      leave();
    }
  }

  /**
   * Commits that a create may leave. Also where the row says so already but a write on it was not answered: only another
   * write keeps that one, FAILED perhaps, from taking effect when the batch job is there.
   */
  async function commitBegun(charge: Charge): Promise<boolean> {
    if (isBegun(charge.job) && charge.unansweredAtVersion !== charge.job.version) return true;
    return rows.tryWrite(charge, {
      changes: { createPhase: CreatePhase.Begun, dueAtMs: undefined },
      event: { type: EventType.Dispatching, reason: "" },
    });
  }

  async function createOnce(charge: Charge, lane: Lane): Promise<Progress> {
    const { known } = charge;
    try {
      doubtFromNow(charge);
      const outcome = await send(charge, lane);
      if (outcome.kind === "rejected" || outcome.kind === "refused") charge.known = known;
      return await record(charge, lane, outcome, known);
    } catch (error) {
      if (!(error instanceof TrustLapsedError)) throw error;
      charge.known = known;
      return "later";
    }
  }

  async function send(charge: Charge, { provider, budget }: Lane): Promise<CreateOutcome> {
    const { job } = charge;
    let env: Readonly<Record<string, string>>;
    try {
      env = options.openEnv(job);
    } catch (error) {
      log.error({ ...fieldsOf(job), err: error }, "the job's env values cannot be opened");
      const message = "the key that sealed the job's environment is not at hand";
      return {
        kind: "refused",
        reason: "SEALING_KEY_MISSING",
        message,
        retryAfterMs: undefined,
        holdsUp: "job",
      };
    }
    return await trusted(charge, (permit) =>
      provider.create(
        {
          batchJobId: batchJobId(job),
          deploymentId: options.deploymentId,
          tenantId: job.tenantId,
          jobId: job.jobId,
          attempt: job.attempt,
          spec: job.spec,
          env,
        },
        permit,
        budget.spend,
      ),
    );
  }

  /** The job was refused for a reason that nobody else of its target meets. Answers when its next try may be, wall clock. */
  function restAlone(
    charge: Charge,
    { retryAfterMs = 0 }: { readonly retryAfterMs: number | undefined },
  ): number {
    charge.refusals += 1;
    return clock.nowMs() + Math.max(retryAfterMs, backoffMs(ALONE_BACKOFF, charge.refusals, options.entropy));
  }

  /** Commits what a create came to. `before` is what was known before it left. */
  async function record(
    charge: Charge,
    { gate, budget }: Lane,
    outcome: CreateOutcome,
    before: Charge["known"],
  ): Promise<Progress> {
    const fields = { ...fieldsOf(charge.job), batch_job_id: batchJobId(charge.job) };
    let retryAtMs = 0;
    if (outcome.kind === "accepted") {
      charge.refusals = 0;
      gate.accepted();
      budget.answered();
      log.info({ ...fields, adopted: outcome.adopted }, "batch job accepted");
    } else if (outcome.kind === "refused") {
      retryAtMs = outcome.holdsUp === "job" ? restAlone(charge, outcome) : gate.refused(outcome.retryAfterMs);
      if (outcome.holdsUp === "calls") budget.throttled(outcome.retryAfterMs);
      log.warn(
        { ...fields, reason: outcome.reason, message: outcome.message },
        "worker failed to process job",
      );
    } else if (outcome.kind === "unknown") {
      log.warn({ ...fields, err: outcome.cause }, "worker failed to process job");
    } else {
      log.warn(
        { ...fields, reason: outcome.reason, message: outcome.message },
        "worker failed to process job",
      );
      const { reason, message } = outcome;
      if (isInDoubt(before)) charge.known = { ...charge.known, refusal: { reason, message } };
    }
    const write_ = afterCreate(charge.job, before, outcome, retryAtMs);
    const progress = write_ === undefined ? "moved" : await write(charge, write_);
    // An unknown answer is asked about after a backoff, in case the cloud is only slow. A refusal closes the gate, but not
    // where it is about this job alone.
    const again = outcome.kind === "unknown" || (outcome.kind === "refused" && outcome.holdsUp === "job");
    return again && progress === "moved" ? "later" : progress;
  }

  async function terminate(charge: Charge, { provider, budget }: Lane): Promise<Progress> {
    await budget.take(charge.wake.signal);
    await untrusted((signal) => provider.terminate(batchJobId(charge.job), signal, budget.spend));
    charge.known = { ...charge.known, terminatedAtMs: clock.monotonicMs() };
    options.watcher.lookSoon(charge.job.jobId);
    return "moved";
  }

  async function removeAttempt(charge: Charge, lane: Lane | undefined, attempt: number): Promise<void> {
    const { jobId, target } = charge.job;
    if (lane === undefined) throw new InvariantError(`target ${target} is not served here`);
    await lane.budget.take(charge.wake.signal);
    const id = batchJobIdOf(options.deploymentId, jobId, attempt);
    await trusted(charge, (permit) => lane.provider.remove(id, permit, lane.budget.spend));
  }

  return {
    ...rows,
    create,
    terminate,
    async look(charge, { provider, budget }) {
      const { job } = charge;
      await budget.take(charge.wake.signal);
      const beganAtMs = clock.monotonicMs();
      const found = await untrusted((signal) =>
        provider.look(
          { batchJobId: batchJobId(job), deploymentId: options.deploymentId, tenantId: job.tenantId },
          signal,
          budget.spend,
        ),
      );
      budget.answered();
      if (found.kind === "found") return write(charge, accepted(found.state, true));
      if (found.kind === "foreign")
        return write(charge, failed({ reason: "NAME_TAKEN", message: found.message }));
      charge.known = { ...charge.known, absentLookAtMs: beganAtMs };
      return "moved";
    },
    async observe(charge, lane, state) {
      const { job } = charge;
      try {
        if (state === "lost" || state.reason === PROVIDER_LOST) await terminate(charge, lane);
        const write_ =
          state === "lost" ? lost(job) : afterObservation(job, state, clock.nowMs(), options.entropy);
        const progress = write_ === undefined ? "moved" : await write(charge, write_);
        // Decided without a request that came meanwhile, so it was not written; what the cloud told is still true.
        if (write_ !== undefined && charge.job.version !== job.version + 1)
          options.watcher.lookSoon(job.jobId);
        return progress;
      } catch (error) {
        // Still true as well, and told once: kept until the backoff is over, which spares a store that is down as many looks.
        // That it is lost is told at each miss, and may be untrue by then.
        if (state !== "lost") charge.news ??= { batchJobId: batchJobId(job), state };
        throw error;
      }
    },
    async remove(charge, lane) {
      const { job } = charge;
      // Of an attempt that was only intended there is nothing in any cloud.
      const begun = job.createPhase === CreatePhase.Intended ? job.attempt - 1 : job.attempt;
      for (let attempt = 1; attempt <= begun; attempt += 1) await removeAttempt(charge, lane, attempt);
      if (job.owner === undefined) return "gone";
      const atMs = clock.nowMs();
      const kind = await store.deleteJob({
        tenantId: job.tenantId,
        jobId: job.jobId,
        version: job.version,
        owner: job.owner,
        atMs,
        tombstoneUntilMs: atMs + TOMBSTONE_MS,
        keyUntilMs: atMs + KEY_MS,
      });
      if (kind === "stale") return reread(charge);
      log.info(fieldsOf(job), "job removed");
      return "gone";
    },
  };
}

/** How long a job rests that was refused for a reason of its own, and the cloud named no time: for somebody to mend it. */
const ALONE_BACKOFF: Backoff = { initialMs: 2_000, maxMs: 300_000, factor: 2 };

function isBegun(job: Job): boolean {
  return job.createPhase === CreatePhase.Begun;
}

/** Missing from the cloud for long: it may still run, so it was told to end, and no other attempt begins. */
function lost(job: Job): Write {
  if (job.cancelRequestedAtMs !== undefined) return cancelled();
  return failed({ reason: PROVIDER_LOST, message: "the provider does not know the batch job any more" });
}
