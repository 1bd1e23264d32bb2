/**
 * How each cloud takes creates, which is what submit-once stands on. Figures are scaled down where only their proportion
 * matters: a signature's life is 900 s on AWS and 60 s here.
 */
export interface CloudRules {
  readonly cloud: "gcp" | "aws" | "azure";
  /** A name that exists is told as such: `ALREADY_EXISTS`, `TaskExists`. AWS takes any name any number of times. */
  readonly namesAreUnique: boolean;
  /** A create that arrives later after it was signed is refused. Undefined: nothing looks at when it was signed. */
  readonly signatureLifeMs: number | undefined;
  /**
   * The longest that a request which left may be under way. Where signatures are looked at this may be longer than they
   * live; where they are not it is the assumption that submit-once rests on.
   */
  readonly longestWayMs: number;
  /** The longest that lists lag behind. */
  readonly listLagMs: number;
  /** A deleted batch job's name can be used again. */
  readonly removalFreesName: boolean;
}

export const GCP: CloudRules = {
  cloud: "gcp",
  namesAreUnique: true,
  signatureLifeMs: undefined,
  longestWayMs: 20_000,
  listLagMs: 10_000,
  removalFreesName: true,
};

export const AZURE: CloudRules = {
  cloud: "azure",
  namesAreUnique: true,
  signatureLifeMs: undefined,
  longestWayMs: 20_000,
  listLagMs: 0,
  removalFreesName: true,
};

export const AWS: CloudRules = {
  cloud: "aws",
  namesAreUnique: false,
  signatureLifeMs: 60_000,
  longestWayMs: 90_000,
  listLagMs: 10_000,
  removalFreesName: false,
};

/** How long a request that left may be honoured after its caller is gone, and how far lists lag: the port's `requestOutlivesMs`. */
export function requestOutlivesMs(rules: CloudRules): number {
  return (rules.signatureLifeMs ?? rules.longestWayMs) + rules.listLagMs;
}
