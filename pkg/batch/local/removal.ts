import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Permit } from "#pkg/batch/index.ts";
import type { Clock } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import { STAGING_PREFIX } from "./create.ts";
import { absentIsUndefined, asUnavailable, type Folders, mark, namesIn, takeLink } from "./folder.ts";
import type { Observer } from "./observe.ts";
import { formatNone } from "./records.ts";

/** A folder on its way out. */
const DOOMED_PREFIX = ".old-";
/** What a removed attempt keeps: its name, whose it was, and the link that nobody can take any more. */
const KEPT: ReadonlySet<string> = new Set(["removed", "intent", "pid"]);
/** No create stages for longer. */
const STAGING_MAX_AGE_MS = 3_600_000;

/**
 * Deletes what an ended attempt left, all but its name.
 * @param nonce a name of this call's alone.
 * @throws UnavailableError when it still runs, or the workdir cannot be written.
 */
export async function removeAttempt(
  deps: { readonly folders: Folders; readonly observer: Observer },
  batchJobId: string,
  permit: Permit,
  nonce: string,
): Promise<void> {
  const folder = deps.folders.pathOf(batchJobId);
  const facts = await deps.observer.facts(batchJobId);
  permit.assertTrusted();
  if (folder === undefined || facts === undefined) return;
  if (!facts.isRemoved && facts.exit === undefined && facts.isAlive) throw stillRuns(batchJobId);
  try {
    // One that nobody launched yet is not to be launched any more.
    if (facts.pid === undefined && !(await takeLink(folder, nonce, formatNone("cancelled"))))
      throw stillRuns(batchJobId);
    await mark(join(folder, "removed"));
    for (const name of (await namesIn(folder)) ?? []) {
      if (!KEPT.has(name)) await rm(join(folder, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw asUnavailable(error);
  }
}

function stillRuns(batchJobId: string): UnavailableError {
  return new UnavailableError(
    "LOCAL_STILL_RUNS",
    `${batchJobId} still runs; it is removed once it has ended`,
  );
}

/** Frees the names of attempts that were removed more than `nameKeptMs` ago, and clears what dead creators left. */
export async function sweep(
  folders: Folders,
  clock: Clock,
  nameKeptMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (const name of await readdir(folders.root)) {
    if (signal.aborted) return;
    const path = join(folders.root, name);
    if (name.startsWith(DOOMED_PREFIX)) await rm(path, { recursive: true, force: true });
    else if (name.startsWith(STAGING_PREFIX)) await sweepOlder(path, path, STAGING_MAX_AGE_MS, clock);
    else
      await sweepOlder(
        path,
        join(path, "removed"),
        nameKeptMs,
        clock,
        join(folders.root, `${DOOMED_PREFIX}${name}`),
      );
  }
}

/** Deletes `path` when `dated` is older than `ageMs`; by way of `doomed`, so that a name goes with all that is in it. */
async function sweepOlder(
  path: string,
  dated: string,
  ageMs: number,
  clock: Clock,
  doomed = path,
): Promise<void> {
  const found = await absentIsUndefined(() => stat(dated));
  if (found === undefined || clock.nowMs() - found.mtimeMs < ageMs) return;
  if (doomed !== path) await rename(path, doomed);
  await rm(doomed, { recursive: true, force: true });
}
