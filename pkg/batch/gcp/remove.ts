import { hasEnded, type Permit, TrustLapsedError } from "#pkg/batch/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import type { Connection } from "./connection.ts";
import type { Reader } from "./describe.ts";
import { asUnavailable, isStatus } from "./faults.ts";
import { type Location, nameOf } from "./names.ts";
import { stateOf } from "./observe.ts";

/**
 * Deletes an ended batch job. `DeleteJob` would end a running one, so its state is read first; what has ended stays so.
 * @throws TrustLapsedError, UnavailableError
 */
export async function removeBatchJob(
  { connection, reader, location }: { connection: Connection; reader: Reader; location: Location },
  batchJobId: string,
  permit: Permit,
): Promise<void> {
  try {
    const job = await reader.get(batchJobId, permit.signal);
    const state = job && stateOf(job);
    if (state === undefined) return;
    if (!hasEnded(state.phase)) throw new UnavailableError("NOT_ENDED", "the batch job has not ended yet");
    await connection.call(
      "deleteJob",
      { name: nameOf(location, batchJobId) },
      { signal: permit.signal, beforeSend: () => permit.assertTrusted() },
    );
  } catch (error) {
    if (error instanceof TrustLapsedError) throw error;
    if (!isStatus(error, "NOT_FOUND")) throw asUnavailable(error);
  }
}
