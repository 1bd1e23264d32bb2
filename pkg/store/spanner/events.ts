import type { JobEvent, JobRef } from "#pkg/job/index.ts";
import { type Reader, sql } from "./reader.ts";
import { eventBindings, eventOf, refBindings } from "./rows.ts";
import type { Transaction } from "./transaction.ts";

const LIST = sql`
  SELECT * FROM JobStateTransitions WHERE TenantId = @TenantId AND JobId = @JobId ORDER BY Seq`;

/** Appends to a job's history, in the transaction of the change that it tells of. */
export function appendEvent(transaction: Transaction, ref: JobRef, event: JobEvent): void {
  transaction.insert("JobStateTransitions", eventBindings(ref, event));
}

export async function listEvents(db: Reader, ref: JobRef): Promise<readonly JobEvent[]> {
  return (await db.query(LIST, refBindings(ref))).map(eventOf);
}
