import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JobStatus } from "#pkg/job/index.ts";
import { createWorld } from "#pkg/store/conformance/index.ts";
import type { JobStore } from "#pkg/store/job-store.ts";
import type { JobFilter } from "#pkg/store/jobs.ts";
import type { Database } from "./database.ts";
import { MEMORY } from "./database.ts";
import { insertJobs } from "./insert.ts";
import { listJobs } from "./list.ts";
import { openMigrated } from "./migrate.ts";
import { createTenantCache } from "./tenant-cache.ts";

const PAGE = 50;
/** Each of the five runs is one row ahead, and a full page looks whether there is more. */
const AHEAD = 5 + 1;

describe("what a page of 20,000 finished and 5,000 running jobs costs", () => {
  let db: Database;
  let rowsRead = 0;
  let tenantId = "";

  beforeAll(() => {
    const real = openMigrated(MEMORY, "d");
    db = {
      ...real,
      *iterate(...args) {
        for (const row of real.iterate(...args)) {
          rowsRead++;
          yield row;
        }
      },
    };
    const none = {} as JobStore;
    const world = createWorld({ store: none, peer: none, close: async () => {} }, () => Promise.reject());
    tenantId = world.tenant;
    const insert = (status: JobStatus, count: number) =>
      insertJobs(
        real,
        createTenantCache(),
        Array.from({ length: count }, () => world.newJob({ status })),
      );
    real.exec("BEGIN");
    insert("RUNNING", 2_500);
    insert("COMPLETED", 19_000);
    insert("FAILED", 1_000);
    insert("RUNNING", 2_500);
    real.exec("COMMIT");
  });
  afterAll(() => db.close());

  function costOf(filter: Partial<JobFilter>) {
    const any = {
      statuses: [],
      namePrefix: "",
      labels: {},
      kind: "",
      createdAfterMs: undefined,
      createdBeforeMs: undefined,
    };
    rowsRead = 0;
    const { jobs, next } = listJobs(db, {
      tenantId,
      filter: { ...any, ...filter },
      pageSize: PAGE,
      after: undefined,
    });
    return { shown: jobs.length, hasNext: next !== undefined, rowsRead };
  }

  it.each([
    ["without a filter", {}],
    ["of one status that is everywhere", { statuses: ["COMPLETED" as const] }],
    ["of one status that is rare among the newest", { statuses: ["FAILED" as const] }],
    ["of what is active", { statuses: ["PENDING" as const, "RUNNING" as const] }],
    ["of what was created long ago", { createdBeforeMs: 1_700_000_000_000 + 1_000 }],
  ])("a page %s reads its own rows and no more", (_, filter) => {
    const cost = costOf(filter);
    expect(cost).toMatchObject({ shown: PAGE, hasNext: true });
    expect(cost.rowsRead).toBeLessThanOrEqual(PAGE + AHEAD);
  });

  it.each([
    ["a name", { namePrefix: "nobody" }],
    ["a label", { labels: { nobody: "1" } }],
    ["a kind", { kind: "nobody" }],
  ])(
    "a filter by %s that passes nothing looks at a bounded number of rows, and says that more may follow",
    (_, filter) => {
      const cost = costOf(filter);
      expect(cost).toMatchObject({ shown: 0, hasNext: true });
      expect(cost.rowsRead).toBeLessThanOrEqual(PAGE + 500 + AHEAD);
    },
  );
});
