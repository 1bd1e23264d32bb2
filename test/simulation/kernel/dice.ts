/**
 * Draws that depend on the seed and on what they are for, never on what was drawn before for something else. So a fault that
 * is left out of a schedule does not change any other draw, and a schedule can be shrunk.
 */
export interface Dice {
  /** The next number in [0, 1) for this purpose. */
  next(purpose: string): number;
  /** The number in [0, 1) that goes with this name, always the same. */
  of(name: string): number;
  /** A seed for something that wants one of its own. */
  seedOf(name: string): number;
}

const TWO_TO_32 = 2 ** 32;

export function createDice(seed: number): Dice {
  const streams = new Map<string, { readonly key: number; drawn: number }>();
  const seedOf = (name: string) => mix(seed, hashOf(name), 0);

  return {
    next(purpose) {
      let stream = streams.get(purpose);
      if (stream === undefined) {
        stream = { key: hashOf(purpose), drawn: 0 };
        streams.set(purpose, stream);
      }
      stream.drawn += 1;
      return mix(seed, stream.key, stream.drawn) / TWO_TO_32;
    },
    of: (name) => seedOf(name) / TWO_TO_32,
    seedOf,
  };
}

/** FNV-1a (Fowler, Noll, Vo), 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** Three numbers into one, with the finalizer of MurmurHash3 (Appleby) between. */
function mix(a: number, b: number, c: number): number {
  return finalize(finalize(finalize(a + 0x9e3779b9) ^ b) ^ (c + 0x85ebca6b));
}

function finalize(value: number): number {
  let h = value >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
