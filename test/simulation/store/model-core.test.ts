import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { createWorld, describeJobStore } from "#pkg/store/conformance/index.ts";
import { asJobStore } from "./as-job-store.ts";
import type { StoreCore } from "./core.ts";
import { createModelCore } from "./model-core.ts";
import { createSqliteCore } from "./sqlite-core.ts";

/** Two handles on one core: what crosses them is shared state alone, as it is for two processes. */
function opened(core: StoreCore) {
  return { store: asJobStore(core), peer: asJobStore(core), close: async () => core.close() };
}

describeJobStore("the simulation's model", async () =>
  opened(createModelCore({ deploymentId: randomUUID() })),
);
describeJobStore("SQLite on this thread", async () =>
  opened(createSqliteCore({ deploymentId: randomUUID() })),
);

describe("a row of the model that another writer holds", () => {
  const locked = new Set<string>();
  const core = createModelCore({ deploymentId: "d", isLocked: ({ jobId }) => locked.has(jobId) });
  const world = createWorld(opened(core), async () => opened(core));
  const dead = { workerId: world.owner.workerId, afterTerm: 0, throughTerm: 1 };

  it("is skipped by a claim, and by nothing else", async () => {
    const [held, free] = [await world.insert(), await world.insert()];
    locked.add(held.jobId);
    const request = world.claim({ dead: [dead], limit: 1 });
    expect(core.claimJobs(request).map((job) => job.jobId)).toEqual([free.jobId]);
    expect(core.claimJobs(request)).toEqual([]);
    expect(core.hasJobsOf(dead)).toBe(true);
    expect(core.getJobs([held])).toEqual([held]);
    expect(core.findOwned(world.owner, undefined, 9)).toEqual([held]);
    expect((await world.apply(held, { status: "RUNNING" })).version).toBe(2);
    locked.clear();
    expect(core.claimJobs(request).map((job) => job.jobId)).toEqual([held.jobId]);
  });
});

describe("a claim of the model in two steps", () => {
  const core = createModelCore({ deploymentId: "d" });
  const world = createWorld(opened(core), async () => opened(core));
  const dead = { workerId: world.owner.workerId, afterTerm: 0, throughTerm: 1 };

  it("takes what its search found and nobody changed so that it may not be taken any more", async () => {
    const [ended, changed] = [await world.insert(), await world.insert()];
    const chosen = core.chooseClaim?.(world.claim({ dead: [dead], limit: 9 }));
    expect(chosen?.rows.map((job) => job.jobId).toSorted()).toEqual([ended.jobId, changed.jobId].toSorted());
    const later = await world.insert();
    await world.apply(ended, { status: "FAILED" });
    await world.apply(changed, { status: "RUNNING" });
    expect(chosen?.take()).toEqual([expect.objectContaining({ jobId: changed.jobId, version: 3 })]);
    expect(core.getJobs([later])).toEqual([later]);
  });
});
