import type { BatchJobState, BatchProvider, CreateRequest, Permit } from "#pkg/batch/index.ts";
import { TrustLapsedError } from "#pkg/batch/index.ts";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { batchJobIdOf, createJobId, type JobSpec } from "#pkg/job/index.ts";

/** What a case wants a program to do. A protocol double plays it; a real cloud runs it. */
export type Work =
  /** Ends with this code. */
  | { readonly kind: "exit"; readonly code: number }
  /** Runs until it is told to end. */
  | { readonly kind: "forever" }
  /** Writes its arguments and its environment where `BatchHarness.observed` finds them, then ends with 0. */
  | { readonly kind: "echo"; readonly arguments: readonly string[] };

/** What a program found itself started with. */
export interface Observed {
  readonly arguments: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** One handle on the target, as one worker has it. */
export interface BatchHandle {
  readonly provider: BatchProvider;
  close(): Promise<void>;
}

/** What the suite needs to know of an adapter's surroundings: one target, empty at the beginning. */
export interface BatchHarness {
  /** Another handle on the same target, started; each is closed by the suite. */
  open(): Promise<BatchHandle>;
  /** Entrypoint and commands of a program that does this work. */
  program(work: Work): Pick<JobSpec, "entrypoint" | "commands">;
  /** How often the program of this batch job has been started, by the target's own account. */
  starts(batchJobId: string): Promise<number>;
  /** What an `echo` program wrote; undefined where the target cannot tell. */
  observed?(batchJobId: string): Promise<Observed>;
  /**
   * Holds a batch job before its start, with the outcome of its create unknown to whoever asked; undefined where that
   * cannot be brought about. `terminate` is then called on it.
   */
  createUnstarted?(request: CreateRequest): Promise<void>;
  close(): Promise<void>;
}

const PLAIN: Omit<JobSpec, "entrypoint" | "commands"> = {
  imageUri: "registry.example/app:1",
  envNames: [],
  name: "",
  resourceProfile: "small",
  machineType: "",
  bootDiskSizeGb: 0,
  useSpotVms: false,
  serviceAccount: "",
  maxRetries: 0,
  priority: 5,
  labels: {},
  requestedTarget: "",
};

export const DEPLOYMENT = "3f1c9a52-0b7d-4c64-9e0a-5d1f3b2a7c88";
/** Shares the eight digits that batch job ids begin with. */
export const OTHER_DEPLOYMENT = "3f1c9a52-ffff-4c64-9e0a-5d1f3b2a7c88";

/** A request of a new job. */
export function requestFor(
  program: Pick<JobSpec, "entrypoint" | "commands">,
  more: { readonly env?: Readonly<Record<string, string>>; readonly spec?: Partial<JobSpec> } = {},
): CreateRequest {
  const jobId = createJobId(systemClock, systemEntropy);
  const env = more.env ?? {};
  return {
    batchJobId: batchJobIdOf(DEPLOYMENT, jobId, 1),
    deploymentId: DEPLOYMENT,
    tenantId: "tenant-a",
    jobId,
    attempt: 1,
    spec: { ...PLAIN, ...program, envNames: Object.keys(env).sort(), ...more.spec },
    env,
  };
}

/** Leave that does not end. */
export function trusted(): Permit {
  return { assertTrusted: () => undefined, signal: new AbortController().signal };
}

/** Leave that has ended. */
export function lapsed(): Permit {
  return {
    assertTrusted() {
      throw new TrustLapsedError();
    },
    signal: new AbortController().signal,
  };
}

export const never = (): AbortSignal => new AbortController().signal;

const LOOK_EVERY_MS = 10;
const LOOK_FOR_MS = 60_000;

/** Asks until the state is as wished. No provider tells by itself, so this looks often; and gives up in words. */
export async function eventually(
  provider: BatchProvider,
  batchJobId: string,
  isWished: (state: BatchJobState) => boolean,
): Promise<BatchJobState> {
  let last: BatchJobState | undefined;
  for (let waitedMs = 0; waitedMs < LOOK_FOR_MS; waitedMs += LOOK_EVERY_MS) {
    last = (await provider.describe([batchJobId], never())).get(batchJobId);
    if (last !== undefined && isWished(last)) return last;
    await systemClock.sleep(LOOK_EVERY_MS);
  }
  throw new Error(`${batchJobId} stays at ${JSON.stringify(last)}`);
}

/** Every batch job id of an inventory. */
export async function inventoried(
  provider: BatchProvider,
  deploymentId: string,
): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for await (const page of provider.inventory(deploymentId, never())) {
    for (const item of page) ids.add(item.batchJobId);
  }
  return ids;
}
