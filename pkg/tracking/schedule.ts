/** Between two looks at a batch job: a tenth of its age, so that what is young is seen soon and what is old costs little. */
const SHARE_OF_AGE = 1 / 10;
const SHORTEST_MS = 1_000;
const LONGEST_MS = 30_000;

/** A batch job is lost after this many misses in a row, and not before it is this old: lists lag behind creates. */
const MISSES_UNTIL_LOST = 5;
const AGE_UNTIL_LOST_MS = 120_000;

/** How long to rest before the next look at something of this age; milliseconds, with up to a tenth of jitter. */
export function restMs(ageMs: number, uniform: number): number {
  const rest = Math.min(LONGEST_MS, Math.max(SHORTEST_MS, ageMs * SHARE_OF_AGE));
  return rest * (1 - uniform / 10);
}

/** Whether so many misses in a row of something of this age mean that the cloud has lost it. */
export function isLost(misses: number, ageMs: number): boolean {
  return misses >= MISSES_UNTIL_LOST && ageMs >= AGE_UNTIL_LOST_MS;
}
