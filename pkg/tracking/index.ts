/**
 * Watching batch jobs to their end: the due ones are asked for in the largest batches that the cloud allows, young ones
 * often, old ones seldom; and now and then an inventory looks for batch jobs that should not run any more.
 *
 * It promises that slow is not dead (a call that fails changes nothing, and keeps nobody from the others), that missing is
 * not failed (a batch job counts as lost only after several misses and a minimum age), and that all calls to a target rest
 * when one of them is throttled. It leaves to `dispatch` what an observation means.
 */
export { createInventory, type InventoryOptions, OrphanPolicy } from "./inventory.ts";
export { createTracker, type TrackedItem, type Tracker, type TrackerOptions } from "./tracker.ts";
