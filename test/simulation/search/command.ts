import { systemClock } from "#pkg/clock/index.ts";
import { armBug, checkBug } from "#test/simulation/bugs/arm.ts";
import type { Bug } from "#test/simulation/bugs/bug.ts";
import type { Failure } from "./batch.ts";
import { createProgress, summaryOf } from "./report.ts";
import { search } from "./search.ts";

/** What the command's exit says. A tool that failed is no find: so it does not exit as one that found. */
export const Exit = { Held: 0, Broken: 1, Usage: 2, Failed: 70 } as const;

/** What to run. */
export interface Work {
  readonly seeds: number;
  readonly from: number;
  readonly bug: Bug | undefined;
  /** This one alone. */
  readonly replay: number | undefined;
  /** The program that runs the seeds of a search; see `SearchOptions`. */
  readonly program?: string;
}

/** Where the command writes. */
export interface Output {
  out(text: string): void;
  err(text: string): void;
}

/** Runs seeds, tells what they came to, and answers with the exit code. */
export async function carryOut(work: Work, { out, err }: Output): Promise<number> {
  try {
    if (work.bug !== undefined) checkBug(work.bug);
    if (work.replay === undefined) return await searchSeeds(work, out);
    const { text, isBroken } = await replay(work.replay, work.bug);
    out(text);
    return isBroken ? Exit.Broken : Exit.Held;
  } catch (error) {
    err(`\nThe simulation itself failed, which says nothing about the promises: ${textOf(error)}\n`);
    return Exit.Failed;
  }
}

async function searchSeeds(
  { seeds, from, bug, program }: Work,
  write: (text: string) => void,
): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  const progress = createProgress(systemClock, seeds);
  const end = await search({
    seeds,
    from,
    bug,
    onProgress: progress.show,
    ...(program !== undefined && { program }),
  });
  progress.end();
  write(summaryOf(end, systemClock.monotonicMs() - startedMs));
  if (end.failure === undefined) return Exit.Held;
  write(await textOfFailure(end.failure, bug));
  return Exit.Broken;
}

/** What was found is a find, whether it comes again or not. */
async function textOfFailure({ seed, violation }: Failure, bug: Bug | undefined): Promise<string> {
  const again = await replay(seed, bug).catch((error) => ({ text: `\n${textOf(error)}\n`, isBroken: false }));
  if (again.isBroken) return again.text;
  return [
    again.text,
    `It did not come again: in the search, seed ${seed} broke a promise: ${violation.promise}.`,
    `  ${violation.words}`,
    "Something that the seed does not decide has a part in its world: look for that first.",
    "",
  ].join("\n");
}

/** In this process, which has loaded nothing yet of what a bug may be in. */
async function replay(seed: number, bug: Bug | undefined) {
  if (bug !== undefined) armBug(bug);
  const { replaySeed } = await import("./replay.ts");
  return await replaySeed(seed, bug?.name);
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
