import { join } from "node:path";
import { UnavailableError } from "#pkg/errors/index.ts";
import { asUnavailable, codeOf, type Folders, mark, takeLink } from "./folder.ts";
import type { Observer } from "./observe.ts";
import type { ProcessTable } from "./process-table.ts";
import { formatNone } from "./records.ts";

/**
 * Has an attempt end: one that has not started by taking its link, a running one by a TERM to its shim, which does the
 * rest, and one whose shim was lost by a KILL to what may be left of its group.
 *
 * @param nonce a name of this call's alone.
 * @throws UnavailableError when the workdir cannot be written, or the shim is another user's.
 */
export async function terminateAttempt(
  deps: { readonly folders: Folders; readonly observer: Observer; readonly processes: ProcessTable },
  batchJobId: string,
  nonce: string,
): Promise<void> {
  const folder = deps.folders.pathOf(batchJobId);
  let facts = await deps.observer.facts(batchJobId);
  if (folder === undefined || facts === undefined || facts.isRemoved || facts.exit !== undefined) return;
  if (facts.pid === undefined) {
    if (await write(() => takeLink(folder, nonce, formatNone("cancelled")))) return;
    // A shim was first.
    facts = await deps.observer.facts(batchJobId);
  }
  const pid = facts?.pid;
  if (
    facts === undefined ||
    facts.exit !== undefined ||
    pid === undefined ||
    pid === "torn" ||
    pid.kind === "none"
  )
    return;
  if (facts.isAlive) {
    // Before the signal: the shim looks for it when the signal comes.
    await write(() => mark(join(folder, "cancel")));
    signal(pid.pid, "SIGTERM");
  } else if (pid.bootId === deps.processes.bootId) {
    await killOrphans(deps.processes, pid.pid);
  }
}

/**
 * While a group has members, its id is given to no new process; so a group whose leader is gone is the lost shim's. When
 * the id is a process again, the group is empty or another's.
 */
async function killOrphans(processes: ProcessTable, groupId: number): Promise<void> {
  if ((await processes.startTimes([groupId])).has(groupId)) return;
  signal(-groupId, "SIGKILL");
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    // ESRCH: it has ended by itself.
    if (codeOf(error) === "ESRCH") return;
    throw new UnavailableError("LOCAL_SIGNAL", "the batch job cannot be signalled; it runs as another user", {
      cause: error,
    });
  }
}

async function write<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw asUnavailable(error);
  }
}
