import type { Allows } from "#test/simulation/kernel/chaos.ts";
import { drawSetting } from "#test/simulation/world/setting.ts";
import { runWorld, type WorldEnd } from "#test/simulation/world/world.ts";

/** Everything that the seed planned takes part. */
export const ALL: Allows = () => true;

/** One seed's world, or what is left of it when only some of what it planned may happen. */
export function runSeed(seed: number, allows: Allows = ALL, keepsTrace = false): Promise<WorldEnd> {
  return runWorld({ setting: drawSetting(seed), allows, keepsTrace });
}
