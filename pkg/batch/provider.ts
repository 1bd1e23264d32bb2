import { type FieldViolation, UnavailableError } from "#pkg/errors/index.ts";
import type { JobSpec } from "#pkg/job/index.ts";
import type { BatchJobState, BatchPhase } from "./state.ts";

/** Thrown by `Permit.assertTrusted` when the worker may no longer act for its jobs. Nothing was sent. */
export class TrustLapsedError extends Error {
  constructor() {
    super("the lease is not certain to be held; nothing was sent");
    this.name = "TrustLapsedError";
  }
}

/**
 * Thrown when the cloud asks for fewer calls, or for none during a while: every call to the target rests, for `retryAfterMs`
 * or, where it named no time, for one that grows from one throttling to the next.
 */
export class ThrottledError extends UnavailableError {
  constructor(...args: ConstructorParameters<typeof UnavailableError>) {
    super(...args);
    this.name = "ThrottledError";
  }
}

/** Leave to create or delete in a cloud, which ends with the worker's trust in its own lease. */
export interface Permit {
  /**
   * Called by the adapter at the last await before the request leaves, after it was signed.
   * @throws TrustLapsedError
   */
  assertTrusted(): void;
  /** Aborts at the call's deadline, which lies inside the trust. */
  readonly signal: AbortSignal;
}

/**
 * Told of each request of a call of the port as it leaves, but for the first, which the caller has taken from the call
 * budget: `CallBudget.spend`. One question about many may make as many requests.
 */
export type Spend = () => void;

/** What a cloud can do, asked for instead of its name. */
export interface BatchCapabilities {
  /**
   * A create under a name that exists is told as such and never makes a second batch job, so a doubt is settled by
   * creating again. Where false, a doubt is settled by `look`, after the time that a lost request may still live.
   */
  readonly createIsIdempotent: boolean;
  /** Most ids that one `describe` may name. */
  readonly maxDescribe: number;
  /** Creates under way at once that the cloud takes well. */
  readonly maxConcurrentCreates: number;
  /** Calls a second that the account allows, creates and reads together; all live workers share them. */
  readonly maxCallsPerSecond: number;
  /**
   * The longest that a request which left may still be honoured after its caller is gone, plus how long a list may lag
   * behind; milliseconds. With the lease TTL it is the least value of `SETTLE_SECONDS`.
   */
  readonly requestOutlivesMs: number;
}

export interface CreateRequest {
  /** A pure function of deployment, job and attempt: the name under which the cloud takes it once. */
  readonly batchJobId: string;
  readonly deploymentId: string;
  readonly tenantId: string;
  readonly jobId: string;
  readonly attempt: number;
  readonly spec: JobSpec;
  /** The opened env values. Never logged, never written down in the clear. */
  readonly env: Readonly<Record<string, string>>;
}

/** What one create request came to. */
export type CreateOutcome =
  /** The cloud has it, by this request or (`adopted`) by an earlier one. */
  | { readonly kind: "accepted"; readonly adopted: boolean; readonly state: BatchJobState }
  /**
   * A 4xx that says that this request can never succeed, or the name is another deployment's or tenant's, or a removed
   * batch job's. `reason` UPPER_SNAKE_CASE, `message` the cloud's own words.
   */
  | { readonly kind: "rejected"; readonly reason: string; readonly message: string }
  /**
   * The cloud said no for now (quota, throttling), so this request made nothing. `reason` becomes the `wait_reason`.
   * `holdsUp` tells what else would meet the same: nothing but this `job`; each create of the `target` (a quota of machines,
   * a missing permission); or all `calls` to it, reads too, because the cloud asks for fewer.
   */
  | {
      readonly kind: "refused";
      readonly reason: string;
      readonly message: string;
      readonly retryAfterMs: number | undefined;
      readonly holdsUp: "job" | "target" | "calls";
    }
  /** It may or may not have made the batch job: 5xx, reset, timeout. */
  | { readonly kind: "unknown"; readonly cause: unknown };

/** What looking for a batch job by its exact name found, over every page. */
export type LookOutcome =
  | { readonly kind: "found"; readonly state: BatchJobState }
  | { readonly kind: "absent" }
  /** The name is taken by a batch job of another deployment or tenant. */
  | { readonly kind: "foreign"; readonly message: string };

/** A batch job of this deployment as a listing tells of it. */
export interface InventoryItem {
  readonly batchJobId: string;
  readonly providerJobId: string;
  readonly phase: BatchPhase;
}

/**
 * One target of one cloud. Reads (`look`, `describe`, `inventory`) and `terminate` reject with `UnavailableError` when the
 * cloud does not answer, with `ThrottledError` when it asks for fewer calls. `start` checks that the target can be used and rejects with a `StartupError`
 * that says what is missing; a provider is a lifecycle `Service`.
 */
export interface BatchProvider {
  /** `gcp/<project>/<region>`, `local/<machine id>/<hash of the workdir>`, …; fixed from the beginning. */
  readonly target: string;
  readonly capabilities: BatchCapabilities;

  start(): Promise<void>;
  stop(): Promise<void>;

  /** What of a spec this cloud cannot honour, by the request's field names; empty when it can run it. */
  validate(spec: JobSpec): readonly FieldViolation[];

  /** Exactly one request that creates. Rejects only with `TrustLapsedError`, before anything was sent. */
  create(request: CreateRequest, permit: Permit, spend?: Spend): Promise<CreateOutcome>;

  /**
   * Looks for a batch job by its exact name. An existing one is `found` only when it is of this deployment and tenant.
   */
  look(
    request: Pick<CreateRequest, "batchJobId" | "deploymentId" | "tenantId">,
    signal: AbortSignal,
    spend?: Spend,
  ): Promise<LookOutcome>;

  /**
   * The states of batch jobs, at most `capabilities.maxDescribe`. One that the cloud does not know is not in the answer, which
   * counts as a miss. One that could not be read now, or whose end could not be explained yet, is in it as `undefined`: it is
   * neither missing nor over, hides no other, and is asked for again. (Told as missing it might be given up for lost; told as
   * an end without its exit code, that would be committed for good.) Rejects where nothing can be told of any of them.
   */
  describe(
    batchJobIds: readonly string[],
    signal: AbortSignal,
    spend?: Spend,
  ): Promise<ReadonlyMap<string, BatchJobState | undefined>>;

  /**
   * Has a batch job end, whatever it does now, and never frees its name. Resolves when the cloud has taken it in; the end
   * shows in `describe`. Harmless on one that has ended or does not exist. Needs no trust.
   */
  terminate(batchJobId: string, signal: AbortSignal, spend?: Spend): Promise<void>;

  /**
   * Deletes an ended batch job with what it left. "Not found" counts as removed.
   * @throws TrustLapsedError before anything was sent; UnavailableError when it has not ended, or the cloud does not answer.
   */
  remove(batchJobId: string, permit: Permit, spend?: Spend): Promise<void>;

  /**
   * All batch jobs of the deployment on this target that have not ended, page by page: one request each, and told of also
   * where nothing is on it, since the caller takes a call of the budget for each.
   */
  inventory(deploymentId: string, signal: AbortSignal): AsyncIterable<readonly InventoryItem[]>;
}
