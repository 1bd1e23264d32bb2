import type { JobRef } from "#pkg/job/index.ts";
import type { ClaimRequest, JobStore } from "#pkg/store/index.ts";

/**
 * The operations of a store as plain functions: what the database does at the moment when it does it. When that moment
 * is, and whether its answer arrives, is for the simulation's network to decide. Left out is what a database has no part
 * in: the store's own life, and the key, which lies beside the data.
 */
export type StoreCore = {
  readonly [K in Exclude<keyof JobStore, "capabilities" | "start" | "stop" | "dataKey">]: (
    ...args: Parameters<JobStore[K]>
  ) => Awaited<ReturnType<JobStore[K]>>;
} & {
  close(): void;
  /** Where a claim is not one act: chooses its rows now, and locks none. */
  chooseClaim?(request: ClaimRequest): ChosenClaim;
};

/** A claim between its two steps. */
export interface ChosenClaim {
  readonly rows: readonly JobRef[];
  /** Takes those of them that may still be taken. */
  take(): ReturnType<StoreCore["claimJobs"]>;
}

/** What a process may ask of a store by its name. */
export type OperationName = Exclude<keyof StoreCore, "close" | "chooseClaim">;
