import type { Keyring } from "./sealing.ts";

/**
 * The hash by which a repeat under an `Idempotency-Key` is told from a different request, under each key of the ring, the
 * sealing key's first: `<key id>:<HMAC>`.
 *
 * It is keyed because the fields that it covers hold env values, and a plain digest would let a reader of the database try
 * guesses. A new job gets the first; when that is refused as a different request, the others tell whether it is the same
 * one after all, hashed before the key was changed.
 *
 * @param request every field that the caller set, and what was called, in one canonical form.
 */
export function requestHashes(
  keyring: Keyring,
  tenantId: string,
  request: string,
): readonly [string, ...string[]] {
  const [first = "", ...others] = keyring
    .macs("request", `${tenantId}/${request}`)
    .map(({ keyId, mac }) => `${keyId}:${mac.toString("base64url")}`);
  return [first, ...others];
}
