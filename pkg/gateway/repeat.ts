/** A call visits its tenant's worker and, if that fails it, one more. */
export const MAX_VISITS = 2;

/** What decides whether a failed visit is followed by another. */
export interface FailedVisit {
  /** The worker took no byte of it: the connection or the stream was refused. */
  readonly wasRefused: boolean;
  /** See `KnownRpc.isRepeatable`. */
  readonly isRepeatable: boolean;
  /** Everything that was sent can be sent again. */
  readonly isBodyKept: boolean;
  /** Something of a reply was passed on to the caller. */
  readonly hasReplyBegun: boolean;
  /** How many workers were visited, this one included. */
  readonly visits: number;
}

/** The table of the README, as one rule. */
export function mayRepeat(visit: FailedVisit): boolean {
  if (visit.hasReplyBegun || !visit.isBodyKept || visit.visits >= MAX_VISITS) return false;
  return visit.wasRefused || visit.isRepeatable;
}
