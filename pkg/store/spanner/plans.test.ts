import { describe, expect, it } from "vitest";
import { ANY_LEFT, LEFT_BEHIND, REQUESTS_LEFT_BEHIND, UNOWNED, UNOWNED_REQUESTS } from "./claim.ts";
import { KEYS_OVER, TOMBSTONES_OVER } from "./delete.ts";
import { BY_ID, TOMBSTONES_BY_ID } from "./get.ts";
import { LIST_RUNS } from "./list.ts";
import type { Sql } from "./reader.ts";
import { FIND_OWNED, FIND_REQUESTS } from "./requests.ts";

/**
 * The emulator tells no plans, so here the statements themselves are looked at: an index that is forced is used, or Spanner
 * refuses the statement; and where no index is named, the whole primary key must be.
 */
describe("searches", () => {
  const searches: readonly [name: string, statement: Sql, index: string][] = [
    ["a page of a list", LIST_RUNS, "JobsListed"],
    ["jobs of dead terms", LEFT_BEHIND, "JobsOwned"],
    ["requests of dead terms", REQUESTS_LEFT_BEHIND, "JobsRequested"],
    ["requests that nobody owns", UNOWNED_REQUESTS, "JobsRequested"],
    ["new work", UNOWNED, "JobsUnowned"],
    ["whether a term has jobs left", ANY_LEFT, "JobsOwned"],
    ["an owner's requests", FIND_REQUESTS, "JobsRequested"],
    ["an owner's jobs", FIND_OWNED, "JobsOwned"],
    ["a job by its id alone", BY_ID, "JobsById"],
    ["a tombstone by its id alone", TOMBSTONES_BY_ID, "TombstonesById"],
    ["tombstones whose time is over", TOMBSTONES_OVER, "TombstonesOver"],
    ["keys whose time is over", KEYS_OVER, "IdempotencyKeysOver"],
  ];
  for (const [name, statement, index] of searches) {
    it(`${name}: by an index, never by reading all rows`, () => {
      expect(statement).toContain(`@{FORCE_INDEX=${index}`);
      const unforced = [
        ...statement.matchAll(/(?:FROM|JOIN(?:@\{[^}]*\})?) (Jobs|Tombstones|IdempotencyKeys)\b(?!@)/g),
      ];
      for (const [, table] of unforced) {
        expect(statement).toMatch(new RegExp(`${table}\\.TenantId = .* AND ${table}\\.JobId = `));
      }
    });
  }

  it("whatever comes one by one from a shard is bounded in each", () => {
    for (const statement of [
      LIST_RUNS,
      UNOWNED,
      KEYS_OVER,
      TOMBSTONES_OVER,
      LEFT_BEHIND,
      REQUESTS_LEFT_BEHIND,
    ]) {
      expect(statement).toMatch(/LIMIT @Limit\)\) AS Found/);
    }
  });
});
