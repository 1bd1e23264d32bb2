import { BatchPhase, hasEnded } from "#pkg/batch/index.ts";
import type { Connection } from "./connection.ts";
import type { Reader } from "./describe.ts";
import { asUnavailable, isStatus } from "./faults.ts";
import { type Location, nameOf } from "./names.ts";
import { stateOf } from "./observe.ts";

/**
 * Has a batch job end by `CancelJob`, never by deleting it, which would free its name. The cancellation is an operation that
 * goes on in the cloud; its end shows in the job.
 * @throws UnavailableError
 */
export async function terminateBatchJob(
  { connection, reader, location }: { connection: Connection; reader: Reader; location: Location },
  batchJobId: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await connection.call("cancelJob", { name: nameOf(location, batchJobId) }, { signal });
  } catch (error) {
    // A 4xx may mean that there is nothing to end any more, or that it ends already; only the job itself can tell.
    const isAnswer = isStatus(
      error,
      "NOT_FOUND",
      "FAILED_PRECONDITION",
      "INVALID_ARGUMENT",
      "ALREADY_EXISTS",
      "ABORTED",
    );
    if (!isAnswer || !(await needsNoMore(reader, batchJobId, signal))) throw asUnavailable(error);
  }
}

async function needsNoMore(reader: Reader, batchJobId: string, signal: AbortSignal): Promise<boolean> {
  try {
    const job = await reader.get(batchJobId, signal);
    const phase = job && stateOf(job)?.phase;
    return phase === undefined || phase === BatchPhase.Stopping || hasEnded(phase);
  } catch (error) {
    throw asUnavailable(error);
  }
}
