import { InvariantError } from "#pkg/errors/index.ts";
import { mayBecome } from "#pkg/job/index.ts";
import type { JobUpdate } from "./jobs.ts";

/**
 * Refuses what no store may write: a transition that the table forbids, a job named twice. Every adapter asks before it
 * writes anything of the call, and whoever gathers calls asks before it lets one in, so that one caller's defect refuses no other's write.
 *
 * @throws InvariantError and nothing was written.
 */
export function checkUpdates(updates: readonly JobUpdate[]): void {
  const seen = new Set<string>();
  for (const { tenantId, jobId, from, changes } of updates) {
    const to = changes.status ?? from;
    if (!mayBecome(from, to)) throw new InvariantError(`job ${jobId}: ${from} may not become ${to}`);
    const name = `${tenantId}/${jobId}`;
    if (seen.has(name)) throw new InvariantError(`job ${jobId} is named twice in one call`);
    seen.add(name);
  }
}
