import { hasEnded, type InventoryItem } from "#pkg/batch/index.ts";
import type { Reader } from "./describe.ts";
import { asUnavailable } from "./faults.ts";
import { filterOfDeployment } from "./labels.ts";
import { OPEN_STATES, stateOf } from "./observe.ts";

/** What has not ended of a deployment, page by page; nothing where this account may not list. @throws UnavailableError */
export async function* takeInventory(
  reader: Reader,
  deploymentId: string,
  signal: AbortSignal,
): AsyncGenerator<readonly InventoryItem[]> {
  try {
    for await (const page of reader.list(filterOfDeployment(deploymentId, OPEN_STATES), signal)) {
      const items = page
        .map((job) => stateOf(job))
        .filter((state) => state !== undefined)
        .filter(({ phase }) => !hasEnded(phase))
        .map(({ batchJobId, providerJobId, phase }) => ({ batchJobId, providerJobId, phase }));
      yield items;
    }
  } catch (error) {
    throw asUnavailable(error);
  }
}
