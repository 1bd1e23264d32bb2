import type { Timestamp } from "@bufbuild/protobuf/wkt";

const FIRST_SECOND = -62_135_596_800n;
const LAST_SECOND = 253_402_300_799n;
const NANOS_PER_MS = 1_000_000;

/**
 * Epoch milliseconds of a timestamp, fractions of one rounded up, so that "not before" and "created after" never become
 * earlier; NaN where it is none that the proto allows.
 */
export function momentOf(timestamp: Timestamp | undefined): number | undefined {
  if (timestamp === undefined) return undefined;
  const { seconds, nanos } = timestamp;
  const isSound = seconds >= FIRST_SECOND && seconds <= LAST_SECOND && nanos >= 0 && nanos < 1e9;
  return isSound ? Number(seconds) * 1000 + Math.ceil(nanos / NANOS_PER_MS) : Number.NaN;
}
