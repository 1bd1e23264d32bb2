import {
  type BatchProvider,
  type CallBudget,
  hasEnded,
  type InventoryItem,
  ThrottledError,
} from "#pkg/batch/index.ts";
import { type Clock, type Entropy, withTimeout } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import { isTerminal, type Job, JobStatus, parseBatchJobId } from "#pkg/job/index.ts";
import { createLoop, type Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { JobLookup, JobStore } from "#pkg/store/index.ts";

export interface InventoryOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Logger;
  readonly deploymentId: string;
  readonly targets: readonly { readonly provider: BatchProvider; readonly budget: CallBudget }[];
  /** Whether it falls to this worker to look at a target now; one worker each is enough. */
  readonly isMine: (target: string) => boolean;
  /** What is done about batch jobs of the deployment that no row knows. `ORPHAN_POLICY`. Default `report`. */
  readonly orphanPolicy?: OrphanPolicy;
  /**
   * Told of a job whose row is PENDING although the cloud has the batch job of its attempt, so that its owner asks the cloud
   * now and adopts it. A hint.
   */
  readonly onPending?: (job: Job) => void;
  /** Between two inventories; milliseconds. Default 10 minutes. */
  readonly intervalMs?: number;
}

/** `report`: they are told of and left alone. `cancel`: they are told to end. */
export const OrphanPolicy = { Report: "report", Cancel: "cancel" } as const;
export type OrphanPolicy = (typeof OrphanPolicy)[keyof typeof OrphanPolicy];

const INTERVAL_MS = 600_000;
const CALL_TIMEOUT_MS = 60_000;

/**
 * Terminates batch jobs of this deployment that run although their job is terminal, is at a later attempt, or was deleted.
 * Those that no row knows are told of, and left alone unless the operator wants them ended: the row may be of a store that
 * was restored from a backup. A PENDING row whose batch job is there is its owner's to adopt.
 */
export function createInventory(options: InventoryOptions): Service {
  const { store, clock, entropy, log, deploymentId } = options;

  async function takeInventory(stopping: AbortSignal): Promise<void> {
    for (const { provider, budget } of options.targets) {
      if (!options.isMine(provider.target)) continue;
      try {
        await takeInventoryOf(provider, budget, stopping);
      } catch (error) {
        if (error instanceof ThrottledError) budget.throttled(error.retryAfterMs);
        throw error;
      }
    }
  }

  async function takeInventoryOf(
    provider: BatchProvider,
    budget: CallBudget,
    stopping: AbortSignal,
  ): Promise<void> {
    await budget.take(stopping);
    for await (const page of provider.inventory(deploymentId, stopping)) {
      await look(page, provider, budget, stopping);
      await budget.take(stopping);
    }
  }

  async function look(
    page: readonly InventoryItem[],
    provider: BatchProvider,
    budget: CallBudget,
    stopping: AbortSignal,
  ): Promise<void> {
    const named = page.flatMap((item) => {
      const parsed = parseBatchJobId(deploymentId, item.batchJobId);
      return parsed === undefined || hasEnded(item.phase) ? [] : [{ ...item, ...parsed }];
    });
    const lookups = await store.lookUpJobs(named.map(({ jobId }) => jobId));
    for (const [index, { jobId, attempt, batchJobId }] of named.entries()) {
      const lookup = lookups[index] ?? { kind: "unknown" };
      const fields = { job_id: jobId, attempt, batch_job_id: batchJobId, target: provider.target };
      if (isUnclaimed(lookup, attempt)) options.onPending?.(lookup.job);
      const isOrphan = lookup.kind === "unknown";
      if (isOrphan) log.warn(fields, "a batch job runs that no row knows");
      if (!(isOrphan ? options.orphanPolicy === OrphanPolicy.Cancel : isStray(lookup, attempt))) continue;
      await terminate(provider, batchJobId, budget, stopping);
      log.warn(
        fields,
        isOrphan
          ? "a batch job that no row knows was told to end"
          : "a batch job ran on after its job was over, and was told to end",
      );
    }
  }

  async function terminate(
    provider: BatchProvider,
    batchJobId: string,
    budget: CallBudget,
    stopping: AbortSignal,
  ): Promise<void> {
    await budget.take(stopping);
    const late = () => new UnavailableError("PROVIDER_TIMEOUT", "the provider did not answer in time");
    await withTimeout(
      clock,
      CALL_TIMEOUT_MS,
      late,
      (signal) => provider.terminate(batchJobId, signal, budget.spend),
      stopping,
    );
  }

  const intervalMs = options.intervalMs ?? INTERVAL_MS;
  return createLoop({
    name: "inventory",
    clock,
    // Up to a fifth earlier, so that many deployments on one account do not ask together.
    intervalMs: () => intervalMs * (1 - entropy.uniform() / 5),
    step: takeInventory,
    onError: (error) => log.warn({ err: error }, "the inventory failed"),
  });
}

/** Whether the batch job of this attempt should not run any more. */
export function isStray(lookup: JobLookup, attempt: number): boolean {
  if (lookup.kind === "tombstone") return true;
  return lookup.kind === "present" && (isTerminal(lookup.job.status) || attempt < lookup.job.attempt);
}

/** Whether the cloud has the batch job of this attempt, which the row does not know yet. */
function isUnclaimed(
  lookup: JobLookup,
  attempt: number,
): lookup is Extract<JobLookup, { readonly kind: "present" }> {
  return (
    lookup.kind === "present" && lookup.job.status === JobStatus.Pending && lookup.job.attempt === attempt
  );
}
