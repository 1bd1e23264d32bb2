import { CallFault } from "#test/simulation/kernel/chaos.ts";
import { ACCIDENTS, ACTS, CallerHabit, ClockFault } from "#test/simulation/world/setting.ts";

/** Everything that can befall a world, as it is counted. */
export const KINDS: readonly string[] = [
  "workers",
  ...Object.values(CallFault),
  ...new Set(ACCIDENTS),
  ...Object.values(ClockFault),
  ...[...Object.values(CallerHabit), ...new Set(ACTS)].map((kind) => `caller: ${kind}`),
];
