/**
 * The port to the database: jobs with their events and requests, workers with their terms, and what a deployment must
 * remember of itself.
 *
 * It promises what a conditional write on a single row can hold in any of PostgreSQL, Spanner, DynamoDB or SQLite, and
 * nothing more: a write names what it expects to find, and changes nothing where it finds something else. It leaves all
 * decisions (who may own, when a term is over, what becomes of a job) to `ownership` and `dispatch`.
 */
export { checkUpdates } from "./check-updates.ts";
export { createGatheredStore } from "./gathered-store.ts";
export { type JobStore, STORE_REFUSED, type StoreCapabilities, type StoreMeta } from "./job-store.ts";
export type {
  ClaimRequest,
  DeadTerms,
  Deletion,
  InsertResult,
  JobChanges,
  JobFilter,
  JobLookup,
  JobPage,
  JobUpdate,
  ListQuery,
  NewEvent,
  NewJob,
  PageCursor,
  RequestKind,
  RequestResult,
  UsedKey,
  WriteResult,
} from "./jobs.ts";
export type { BeginTerm, TermResult, WorkerDescription, WorkerRecord } from "./workers.ts";
