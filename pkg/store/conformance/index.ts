/**
 * What every store must hold, one case for each promise of the port. An adapter runs `describeJobStore` over itself, and
 * names what it cannot hold with the reason why.
 *
 * The cases share one database and keep apart by their tenants, targets and worker ids, so that a store that is slow to
 * make (an emulator, a server) is made once. They know nothing of any engine.
 */
import { afterAll, beforeAll, describe, it } from "vitest";
import { claimCases } from "./claim-cases.ts";
import { deleteCases } from "./delete-cases.ts";
import { groupCases } from "./group-cases.ts";
import { insertCases } from "./insert-cases.ts";
import { listCases } from "./list-cases.ts";
import { metaCases } from "./meta-cases.ts";
import { requestCases } from "./request-cases.ts";
import { termCases } from "./term-cases.ts";
import { updateCases } from "./update-cases.ts";
import { type Cases, createWorld, type OpenedStores } from "./world.ts";

export { createWorld, type OpenedStores, type World } from "./world.ts";

const GROUPS: Readonly<Record<string, Cases>> = {
  inserts: insertCases,
  "owners' writes": updateCases,
  groups: groupCases,
  requests: requestCases,
  claims: claimCases,
  terms: termCases,
  lists: listCases,
  deletion: deleteCases,
  "what a deployment remembers": metaCases,
};

/** For one case, or for making a database: how fast a store is, is none of the promises, and some take one writer at a time. */
const LIMIT_MS = 450_000;

/**
 * @param open makes a fresh database and opens it twice.
 * @param skipped the promises that this store does not hold, by their words, each with its reason.
 */
export function describeJobStore(
  name: string,
  open: () => Promise<OpenedStores>,
  skipped: Readonly<Record<string, string>> = {},
): void {
  describe(`${name} as a JobStore`, { timeout: LIMIT_MS }, () => {
    let shared: OpenedStores;
    const opened: OpenedStores[] = [];
    const openFresh = async () => {
      const stores = await open();
      opened.push(stores);
      return stores;
    };
    beforeAll(async () => {
      shared = await openFresh();
    }, LIMIT_MS);
    afterAll(async () => {
      for (const stores of opened.splice(0)) await stores.close();
    }, LIMIT_MS);

    for (const [group, cases] of Object.entries(GROUPS)) {
      describe(group, () => {
        for (const [promise, run] of Object.entries(cases)) {
          const reason = skipped[promise];
          if (reason === undefined) it(promise, () => run(createWorld(shared, openFresh)));
          else it.skip(`${promise} (not held: ${reason})`);
        }
      });
    }
  });
}
