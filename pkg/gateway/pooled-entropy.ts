import type { Entropy } from "#pkg/clock/index.ts";

const POOL_BYTES = 4096;

/** Draws randomness in large pieces: asking the system for each id costs more than the rest of minting it. */
export function createPooledEntropy(source: Entropy): Entropy {
  let pool = new Uint8Array(0);
  let used = 0;

  function bytes(length: number): Uint8Array {
    if (length > POOL_BYTES) return source.bytes(length);
    if (used + length > pool.length) {
      pool = Uint8Array.from(source.bytes(POOL_BYTES));
      used = 0;
    }
    used += length;
    // A copy, and the original wiped: no byte is ever given twice.
    const drawn = pool.slice(used - length, used);
    pool.fill(0, used - length, used);
    return drawn;
  }

  return { bytes, uniform: () => source.uniform() };
}
