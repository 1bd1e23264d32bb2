import type { CreateRequest, InventoryItem } from "#pkg/batch/index.ts";
import type { Agenda } from "#test/simulation/kernel/agenda.ts";
import { CallFault, type Chaos } from "#test/simulation/kernel/chaos.ts";
import type { Dice } from "#test/simulation/kernel/dice.ts";
import { type BatchJob, type Ending, isLive, isShown, phaseOf, STOPPING_MS } from "./batch-job.ts";
import type { CloudRules } from "./rules.ts";

/** What a cloud answers to a create that reached it. */
export type Made =
  | { readonly kind: "made" | "exists"; readonly job: BatchJob }
  | { readonly kind: "expired" }
  | { readonly kind: "rejected"; readonly reason: string };

/** One target of one cloud: what it does at the moment when a request reaches it. */
export interface Cloud {
  readonly target: string;
  readonly rules: CloudRules;
  /** Everything that was ever made here. */
  readonly jobs: readonly BatchJob[];
  create(request: CreateRequest, signedAtMs: number): Made;
  /** By exact name, as lists show it. */
  list(name: string): readonly BatchJob[];
  describe(names: readonly string[]): readonly BatchJob[];
  /** Those of them whose state cannot be read now. */
  unreadable(names: readonly string[]): ReadonlySet<string>;
  terminate(name: string): void;
  /** Whether it is gone now; false when it has not ended. */
  remove(name: string): boolean;
  inventory(deploymentId: string): readonly InventoryItem[];
}

export interface CloudOptions {
  readonly target: string;
  readonly rules: CloudRules;
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly chaos: Chaos;
  /** Told of each batch job as it is made. */
  readonly onMade: (job: BatchJob, cloud: Cloud) => void;
}

/** How long a batch job waits for a host, at most, and how long it may be missing from answers. */
const LONGEST_QUEUE_MS = 4_000;
const LONGEST_MISS_MS = 100_000;
/** How long its state may be there and not be readable: for longer than a batch job that is missing is waited for. */
const LONGEST_UNREADABLE_MS = 250_000;
/** How long one may be forgotten: mostly for longer than it takes until it is given up. */
const SHORTEST_FORGETTING_MS = 100_000;
const LONGEST_FORGETTING_MS = 400_000;

export function createCloud({ target, rules, agenda, dice, chaos, onMade }: CloudOptions): Cloud {
  const jobs: BatchJob[] = [];
  const byName = new Map<string, BatchJob[]>();
  const unreadableUntilMs = new Map<string, number>();

  /** Those of this name that still take it. */
  function named(name: string): readonly BatchJob[] {
    const all = byName.get(name) ?? [];
    return rules.removalFreesName ? all.filter((job) => job.removedAtMs === undefined) : all;
  }

  function create(request: CreateRequest, signedAtMs: number): Made {
    const life = rules.signatureLifeMs;
    if (life !== undefined && agenda.nowMs - signedAtMs > life) return { kind: "expired" };
    if (request.spec.labels.refused === "true") return { kind: "rejected", reason: "NO_SUCH_IMAGE" };
    if (chaos.strikes(CallFault.CloudRejects, target)) return { kind: "rejected", reason: "POLICY" };
    const [existing] = named(request.batchJobId);
    if (existing !== undefined && rules.namesAreUnique) return { kind: "exists", job: existing };
    const job = make(request);
    jobs.push(job);
    byName.set(job.name, [...(byName.get(job.name) ?? []), job]);
    onMade(job, cloud);
    return { kind: "made", job };
  }

  function make(request: CreateRequest): BatchJob {
    const { batchJobId: name, deploymentId, tenantId, jobId, attempt, spec, env } = request;
    const madeAtMs = agenda.nowMs;
    const startsAtMs = madeAtMs + dice.next(`queue ${target}`) * LONGEST_QUEUE_MS;
    const preempts = chaos.strikes(CallFault.CloudPreempts, target);
    const runsMs = Number(spec.labels.runs_ms ?? 1_000) * (preempts?.force ?? 1);
    const unstarted = chaos.strikes(CallFault.CloudPreemptsUnstarted, target);
    const vanishes = chaos.strikes(CallFault.CloudVanishes, target);
    const lags = chaos.strikes(CallFault.CloudListLags, target);
    let ending: Ending = attempt <= Number(spec.labels.failures ?? 0) ? "fails" : "succeeds";
    if (preempts !== undefined) ending = "preempted";
    if (unstarted !== undefined || spec.labels.never_starts === "true") ending = "unstarted";
    return {
      name,
      providerJobId: `${target}:${jobs.length + 1}`,
      deploymentId,
      tenantId,
      jobId,
      attempt,
      env,
      madeAtMs,
      startsAtMs,
      runsMs,
      endsAtMs: startsAtMs + runsMs,
      ending,
      listedFromMs: madeAtMs + (lags?.force ?? 0) * rules.listLagMs,
      vanishesAfterMs: vanishes && vanishes.force * runsMs,
      vanishesAtMs: Number.POSITIVE_INFINITY,
      missingUntilMs: 0,
      forgottenUntilMs: 0,
      stopsAtMs: undefined,
      removedAtMs: undefined,
      missesTold: 0,
    };
  }

  function isListed(job: BatchJob): boolean {
    return isShown(job, agenda.nowMs) && job.listedFromMs <= agenda.nowMs;
  }

  function isKnown(job: BatchJob): boolean {
    return job.forgottenUntilMs <= agenda.nowMs;
  }

  /** The cloud loses it so long from now, for good. One that still runs then does so until it is terminated. */
  function vanish(job: BatchJob, afterMs: number): void {
    job.vanishesAtMs = Math.min(job.vanishesAtMs, agenda.nowMs + afterMs);
    if (job.vanishesAtMs < job.endsAtMs) job.endsAtMs = Number.POSITIVE_INFINITY;
  }

  /** One that runs does so for longer than the cloud does not know it. */
  function forget(job: BatchJob, force: number): void {
    const forMs = SHORTEST_FORGETTING_MS + force * (LONGEST_FORGETTING_MS - SHORTEST_FORGETTING_MS);
    const untilMs = agenda.nowMs + forMs;
    if (isLive(job, agenda.nowMs)) job.endsAtMs = Math.max(job.endsAtMs, untilMs + job.runsMs);
    job.missingUntilMs = Math.max(job.missingUntilMs, untilMs);
    job.forgottenUntilMs = Math.max(job.forgottenUntilMs, untilMs);
  }

  const cloud: Cloud = {
    target,
    rules,
    jobs,
    create,
    list: (name) => named(name).filter(isListed),
    describe(names) {
      const answered: BatchJob[] = [];
      for (const job of names.flatMap(named)) {
        const misses = chaos.strikes(CallFault.CloudMisses, target);
        if (misses !== undefined) job.missingUntilMs = agenda.nowMs + misses.force * LONGEST_MISS_MS;
        // What vanishes for good as well, not even the inventory would find.
        const forgets =
          job.vanishesAfterMs === undefined ? chaos.strikes(CallFault.CloudForgets, target) : undefined;
        if (forgets !== undefined) forget(job, forgets.force);
        const isTold = isListed(job);
        job.missesTold = isTold ? 0 : job.missesTold + 1;
        if (!isTold) continue;
        answered.push(job);
        // What was never told of cannot be lost: whether a create took effect could not be found out by any means.
        if (job.vanishesAfterMs !== undefined) vanish(job, job.vanishesAfterMs);
      }
      return answered;
    },
    unreadable(names) {
      for (const name of names) {
        const strike = chaos.strikes(CallFault.CloudUnreadable, target);
        if (strike !== undefined)
          unreadableUntilMs.set(name, agenda.nowMs + strike.force * LONGEST_UNREADABLE_MS);
      }
      return new Set(names.filter((name) => (unreadableUntilMs.get(name) ?? 0) > agenda.nowMs));
    },
    terminate(name) {
      for (const job of named(name)) {
        if (isKnown(job)) job.stopsAtMs ??= agenda.nowMs + STOPPING_MS;
        // Whoever asked takes it for told to end: nothing but the inventory will find it.
        else if (isLive(job, agenda.nowMs)) job.endsAtMs = Number.POSITIVE_INFINITY;
      }
    },
    remove(name) {
      const found = named(name).filter(isKnown);
      if (found.some((job) => isLive(job, agenda.nowMs))) return false;
      for (const job of found) job.removedAtMs ??= agenda.nowMs;
      return true;
    },
    inventory: (deploymentId) =>
      jobs
        .filter((job) => job.deploymentId === deploymentId && isListed(job) && isLive(job, agenda.nowMs))
        .map((job) => ({
          batchJobId: job.name,
          providerJobId: job.providerJobId,
          phase: phaseOf(job, agenda.nowMs),
        })),
  };
  return cloud;
}
