import type { JobStore } from "./job-store.ts";
export function createGatheredStore(store: JobStore): JobStore {
  return store;
}
