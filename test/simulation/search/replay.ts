import { runSeed } from "./run-seed.ts";
import { shrink } from "./shrink.ts";
import { timelineOf } from "./timeline.ts";

/** Runs one seed again, as a person looks at it: shrunk, if it breaks a promise, and told step by step. */
export async function replaySeed(
  seed: number,
  bug: string | undefined,
): Promise<{ readonly text: string; readonly isBroken: boolean }> {
  const first = await runSeed(seed);
  const again = `npm run sim -- --replay ${seed}${bug === undefined ? "" : ` --bug ${bug}`}`;
  if (first.violation === undefined) {
    const told = await runSeed(seed, undefined, true);
    return {
      text: `${timelineOf(told)}\n\nSeed ${seed}: every promise held. Again: ${again}\n`,
      isBroken: false,
    };
  }
  const { kept, violation, isMinimal, runs } = await shrink(seed, first.violation, first.struck);
  const allowed = new Set(kept);
  const told = await runSeed(seed, (id) => allowed.has(id), true);
  const minimal = isMinimal ? "no single one of them can go" : "more of them may be needless";
  const lines = [
    "",
    `Seed ${seed} breaks a promise: ${violation.promise}.`,
    `  ${violation.words}`,
    "",
    `${kept.length} of ${new Set(first.struck).size} steps are enough; ${minimal}, as ${runs} runs showed:`,
    ...kept.map((id) => `  ${id}`),
    "",
    timelineOf(told),
    "",
    `Again: ${again}`,
    "",
  ];
  return { text: lines.join("\n"), isBroken: true };
}
