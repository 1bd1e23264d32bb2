import type { TraceLine } from "#test/simulation/kernel/trace.ts";
import type { WorldEnd } from "#test/simulation/world/world.ts";

const LONGEST = 150;

/** What happened in a world, for a person to read: when, who, what. */
export function timelineOf({ trace }: WorldEnd): string {
  const telling = trace.lines.filter((line) => line.isTelling);
  const widest = Math.max(0, ...telling.map(({ who }) => who.length));
  return telling.map((line) => lineOf(line, widest)).join("\n");
}

function lineOf({ atMs, who, what }: TraceLine, width: number): string {
  const seconds = (atMs / 1000).toFixed(3).padStart(9);
  const text = what.length > LONGEST ? `${what.slice(0, LONGEST)}…` : what;
  return `${seconds} s  ${who.padEnd(width)}  ${text}`;
}
