import type { WorkerDescription } from "#pkg/store/index.ts";

/** What a worker under test tells of itself. */
export const DESCRIPTION: WorkerDescription = {
  url: undefined,
  version: "test",
  level: 1,
  targets: ["test/target"],
  kinds: ["container"],
  capacity: 100,
};
