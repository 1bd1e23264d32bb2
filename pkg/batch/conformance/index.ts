/**
 * The one suite that every adapter of the port passes: `describeBatchProvider(name, open)`. It tells adapters apart by
 * their capabilities alone; a case that a capability excludes is skipped with its reason in words.
 *
 * It leaves to each adapter's own tests what only that cloud has: its errors, its paging, its crashes.
 */
export { type BatchHandle, type BatchHarness, describeBatchProvider, type Work } from "./suite.ts";
