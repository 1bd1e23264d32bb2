/**
 * What the owner of a job does with it: submit-once, retries, cancel, delete. The protocol, its tables and what each
 * crash leaves behind stand in `README.md`.
 *
 * It promises that one attempt becomes one batch job, that a job becomes terminal only when no create of it is in doubt,
 * and that no write but the present owner's takes effect. It leaves to `ownership` whose a job is, to `tracking` how
 * often a cloud is asked, and to the provider to tell the truth about what it knows.
 */
export { createDispatcher } from "./dispatcher.ts";
export { MAX_UNSTARTED_ATTEMPTS, PROVIDER_LOST } from "./outcome.ts";
export type { Dispatcher, DispatcherOptions, Reign, ServedTarget, Watcher, WatchItem } from "./types.ts";
