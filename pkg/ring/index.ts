/**
 * Tenant → worker, by consistent hashing, so that one tenant's calls meet in one process.
 *
 * It promises that every process with the same worker names gives the same order, and that losing a worker moves only
 * the tenants that were its own, at every number of workers. Who is ready is its callers' to know: they walk the order
 * and skip. Routing is never correctness; any worker can serve any tenant.
 */
export { createRing, type Ring } from "./ring.ts";
