import { createHash } from "node:crypto";
import { type CreateOutcome, type CreateRequest, type Permit, TrustLapsedError } from "#pkg/batch/index.ts";
import type { BatchJob, Connection } from "./connection.ts";
import type { Reader } from "./describe.ts";
import { environmentOf } from "./env.ts";
import { isStatus, outcomeOf } from "./faults.ts";
import { isOf } from "./labels.ts";
import { type Location, parentOf } from "./names.ts";
import { stateOf } from "./observe.ts";
import { type Surroundings, toBatchJob } from "./spec.ts";

export interface CreateDeps {
  readonly connection: Connection;
  readonly reader: Reader;
  readonly location: Location;
  readonly surroundings: Surroundings;
}

export const FOREIGN = "the name is taken by a batch job of another deployment or tenant";

/** One `CreateJob`. Where the name is taken, one `GetJob` tells whether it is this attempt's own. */
export async function createBatchJob(
  deps: CreateDeps,
  request: CreateRequest,
  permit: Permit,
): Promise<CreateOutcome> {
  const environment = environmentOf(request.env);
  if (environment.malformed.length > 0) {
    const message = `env_vars: ${environment.malformed.join(", ")} must be secret://projects/<project>/secrets/<secret>/versions/<version>`;
    return { kind: "rejected", reason: "INVALID_SECRET_REFERENCE", message };
  }
  try {
    const job = await deps.connection.call(
      "createJob",
      {
        parent: parentOf(deps.location),
        jobId: request.batchJobId,
        requestId: requestIdOf(request),
        job: toBatchJob(request, environment, deps.surroundings),
      },
      { signal: permit.signal, beforeSend: () => permit.assertTrusted() },
    );
    // A repeat under the same request id may be answered with what the first made, so the labels are read here as well.
    return accepted(job, request, false);
  } catch (error) {
    if (error instanceof TrustLapsedError) throw error;
    return isStatus(error, "ALREADY_EXISTS")
      ? adopt(deps, request, permit.signal)
      : outcomeOf(error, request.spec);
  }
}

async function adopt(
  { reader }: CreateDeps,
  request: CreateRequest,
  signal: AbortSignal,
): Promise<CreateOutcome> {
  try {
    const job = await reader.get(request.batchJobId, signal);
    // Taken a moment ago and not to be read now: a read that lags, or a removal. The next create will tell.
    if (job === undefined) throw new Error("the name is taken, but the batch job cannot be found");
    return accepted(job, request, true);
  } catch (cause) {
    return { kind: "unknown", cause };
  }
}

function accepted(job: BatchJob, request: CreateRequest, adopted: boolean): CreateOutcome {
  if (!isOf(job.labels, request)) return { kind: "rejected", reason: "NAME_TAKEN", message: FOREIGN };
  const state = stateOf(job);
  if (state !== undefined) return { kind: "accepted", adopted, state };
  return {
    kind: "rejected",
    reason: "NAME_REMOVED",
    message: "the batch job is being deleted, and its name is not free yet",
  };
}

/** A UUID that is the same for every create of the attempt, so that the cloud knows a repeat for one. */
export function requestIdOf(request: Pick<CreateRequest, "deploymentId" | "jobId" | "attempt">): string {
  const { deploymentId, jobId, attempt } = request;
  const bytes = createHash("sha256")
    .update(`create/${deploymentId}/${jobId}/${attempt}`)
    .digest()
    .subarray(0, 16);
  // Version 4 and its variant: the one form that every part of the API takes.
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x40, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
