import { describe, expect, it } from "vitest";
import { ANY_LEFT, LEFT_BEHIND, REQUESTS_LEFT_BEHIND, UNOWNED, UNOWNED_REQUESTS } from "./claim.ts";
import type { Sql } from "./database.ts";
import { MEMORY } from "./database.ts";
import { LIST_RUN } from "./list.ts";
import { openMigrated } from "./migrate.ts";
import { FIND_OWNED, FIND_REQUESTS } from "./requests.ts";

/**
 * What SQLite will do for a statement, a line for each step. It decides without statistics (nothing ever runs ANALYZE), so
 * what it says of an empty database holds for a full one.
 */
function planOf(statement: Sql): string {
  const db = openMigrated(MEMORY, "d");
  try {
    // A plan is asked for by the statement's own words behind EXPLAIN; no value is bound, so none is looked at.
    const rows = db.all(`EXPLAIN QUERY PLAN ${statement}` as Sql);
    return rows.map((row) => row.detail).join("\n");
  } finally {
    db.close();
  }
}

describe("query plans", () => {
  const plans: readonly [name: string, statement: Sql, step: string][] = [
    [
      "a page of a list",
      LIST_RUN,
      "USING INDEX jobs_listed (tenant_id=? AND status=? AND created_at>? AND (created_at,job_id)<(?,?))",
    ],
    [
      "jobs of dead terms",
      LEFT_BEHIND,
      "USING INDEX jobs_owned (owner_id=? AND owner_term>? AND owner_term<?)",
    ],
    [
      "requests of dead terms",
      REQUESTS_LEFT_BEHIND,
      "USING INDEX jobs_requested (owner_id=? AND owner_term<?)",
    ],
    ["requests that nobody owns", UNOWNED_REQUESTS, "USING INDEX jobs_requested (owner_id=?"],
    ["new work", UNOWNED, "USING INDEX jobs_unowned (target=?)"],
    [
      "whether a term has jobs left",
      ANY_LEFT,
      "USING INDEX jobs_owned (owner_id=? AND owner_term>? AND owner_term<?)",
    ],
    [
      "an owner's requests",
      FIND_REQUESTS,
      "USING INDEX jobs_requested (owner_id=? AND owner_term=? AND (tenant_id,job_id)>(?,?))",
    ],
    [
      "an owner's jobs",
      FIND_OWNED,
      "USING INDEX jobs_owned (owner_id=? AND owner_term=? AND (tenant_id,job_id)>(?,?))",
    ],
  ];
  for (const [name, statement, step] of plans) {
    it(`${name}: read by an index, never by reading all jobs`, () => {
      const plan = planOf(statement);
      expect(plan).toContain(step);
      expect(plan).not.toMatch(/SCAN jobs/);
    });
  }

  for (const [name, statement] of [
    ["a page of a list", LIST_RUN],
    ["new work", UNOWNED],
    ["an owner's requests", FIND_REQUESTS],
  ] as const) {
    it(`${name}: in order from its index, without sorting`, () => {
      expect(planOf(statement)).not.toContain("TEMP B-TREE");
    });
  }
});
