import { armBug } from "#test/simulation/bugs/arm.ts";
import type { Bug } from "#test/simulation/bugs/bug.ts";
import type { Batch } from "./batch.ts";

/** A process that runs batches of seeds for the search that forked it, and ends with it. */
export type ChildMessage =
  | { readonly kind: "bug"; readonly bug: Bug }
  | { readonly kind: "batch"; readonly batch: Batch };

process.on("disconnect", () => process.exit(0));
process.on("message", (message: ChildMessage) => {
  if (message.kind === "bug") armBug(message.bug);
  else void run(message.batch);
});

async function run(batch: Batch): Promise<void> {
  // Only now, so that a bug is armed before the code that it is in is loaded.
  const { runBatch } = await import("./batch.ts");
  process.send?.(await runBatch(batch));
}
