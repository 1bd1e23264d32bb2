/**
 * The port to a cloud's batch service: create, look, describe, terminate, remove, take inventory, for one target.
 *
 * An adapter tells the truth about what it knows: `rejected` and `refused` only when the cloud said no, `unknown`
 * whenever it may have said yes. It makes one request per create and retries nothing by itself. It leaves to
 * `dispatch` when to ask, to doubt and to give up, and to `tracking` how often to look.
 */
export { type CallBudget, type CallBudgetOptions, createCallBudget } from "./call-budget.ts";
export type {
  BatchCapabilities,
  BatchProvider,
  CreateOutcome,
  CreateRequest,
  InventoryItem,
  LookOutcome,
  Permit,
  Spend,
} from "./provider.ts";
export { ThrottledError, TrustLapsedError } from "./provider.ts";
export { type BatchJobState, BatchPhase, hasEnded } from "./state.ts";
