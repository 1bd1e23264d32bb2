import { randomBytes } from "node:crypto";

/** Randomness. `bytes` of the system's is fit for keys and ids; `uniform` is for jitter. */
export interface Entropy {
  /** `length` random bytes. */
  bytes(length: number): Uint8Array;
  /** A number in [0, 1), uniform, 32 bits fine. */
  uniform(): number;
}

const TWO_TO_32 = 2 ** 32;

/** The operating system's randomness. */
export const systemEntropy: Entropy = {
  bytes: (length) => randomBytes(length),
  uniform: () => randomBytes(4).readUInt32BE() / TWO_TO_32,
};

/** The same sequence for the same seed (xorshift32 of Marsaglia, 2003); for tests and simulations, never for secrets. */
export function createSeededEntropy(seed: number): Entropy {
  // Zero is the one state that xorshift never leaves.
  let state = seed >>> 0 || 0x9e3779b9;
  const next = () => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  return {
    bytes: (length) => Uint8Array.from({ length }, () => next() & 0xff),
    uniform: () => next() / TWO_TO_32,
  };
}
