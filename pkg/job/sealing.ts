import { createCipheriv, createDecipheriv, createHmac, hkdfSync, timingSafeEqual } from "node:crypto";
import type { Entropy } from "#pkg/clock/index.ts";
import { InvariantError } from "#pkg/errors/index.ts";
import type { JobRef } from "./job.ts";

const KEY_BYTES = 32;
const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FINGERPRINT_CHARACTERS = 16;

/**
 * Thrown when a secret was sealed with a key that this process does not hold, or was altered. `keyId` is the fingerprint
 * of the key that is needed.
 */
export class SealedByUnknownKeyError extends Error {
  readonly keyId: string;
  constructor(keyId: string) {
    super(`sealed with the key ${keyId}, which SECRETS_KEY does not hold: add it behind the first`);
    this.name = "SealedByUnknownKeyError";
    this.keyId = keyId;
  }
}

/** Env values as a row keeps them. */
export interface SealedEnv {
  readonly sealedEnv: Uint8Array;
  /** Fingerprint of the key. */
  readonly sealingKeyId: string;
}

/** A MAC under one key of the ring. */
export interface KeyedMac {
  readonly keyId: string;
  readonly mac: Buffer;
}

/** The deployment's keys. The first seals, all open; so a key is changed by putting the new one first and keeping the old. */
export interface Keyring {
  /** Fingerprint of the first key. */
  readonly sealingKeyId: string;
  /** Fingerprints of all keys, the first first. Safe to show: they tell nothing of a key but which it is. */
  readonly keyIds: readonly string[];
  /** Seals a job's env values; undefined when there are none. */
  seal(job: JobRef, env: Readonly<Record<string, string>>): SealedEnv | undefined;
  /**
   * Opens what `seal` made for the same job; an empty env where nothing was sealed.
   * @throws SealedByUnknownKeyError when the key is not in the ring.
   * @throws InvariantError when the bytes were altered, or belong to another job or tenant.
   */
  open(
    job: JobRef,
    sealed: { readonly sealedEnv: Uint8Array | undefined; readonly sealingKeyId: string | undefined },
  ): Record<string, string>;
  /** HMAC-SHA-256 of `text` for one purpose under every key of the ring, the first first. */
  macs(purpose: string, text: string): readonly KeyedMac[];
}

/**
 * Which key it is, without telling the key: keys are random, so a digest of one cannot be searched.
 * @param key 32 bytes.
 */
export function fingerprintOf(key: Uint8Array): string {
  return createHmac("sha256", key)
    .update("jennah key fingerprint")
    .digest("hex")
    .slice(0, FINGERPRINT_CHARACTERS);
}

/** @param keys at least one, 32 bytes each. */
export function createKeyring(keys: readonly Uint8Array[], entropy: Entropy): Keyring {
  const ring = keys.map((key) => {
    if (key.byteLength !== KEY_BYTES) throw new InvariantError(`a key has ${KEY_BYTES} bytes`);
    return { id: fingerprintOf(key), key, subkeys: new Map<string, Buffer>() };
  });
  const [first] = ring;
  if (first === undefined) throw new InvariantError("a keyring has at least one key");

  return {
    sealingKeyId: first.id,
    keyIds: ring.map(({ id }) => id),
    seal(job, env) {
      if (Object.keys(env).length === 0) return undefined;
      const nonce = entropy.bytes(NONCE_BYTES);
      const cipher = createCipheriv("aes-256-gcm", jobKey(first.key, job), nonce);
      cipher.setAAD(associatedData(job));
      const text = Buffer.concat([
        cipher.update(JSON.stringify(Object.entries(env)), "utf8"),
        cipher.final(),
      ]);
      return {
        sealedEnv: Buffer.concat([Buffer.of(FORMAT), nonce, text, cipher.getAuthTag()]),
        sealingKeyId: first.id,
      };
    },
    open(job, { sealedEnv, sealingKeyId }) {
      if (sealedEnv === undefined) return {};
      const found = ring.find(({ id }) => id === sealingKeyId);
      if (found === undefined) throw new SealedByUnknownKeyError(sealingKeyId ?? "(none)");
      return decrypt(jobKey(found.key, job), job, sealedEnv);
    },
    macs(purpose, text) {
      return ring.map(({ id, key, subkeys }) => {
        const subkey = subkeys.get(purpose) ?? macKey(key, purpose);
        subkeys.set(purpose, subkey);
        return { keyId: id, mac: createHmac("sha256", subkey).update(text, "utf8").digest() };
      });
    },
  };
}

/** Whether two MACs are the same, in a time that does not depend on where they differ. */
export function isSameMac(one: Uint8Array, other: Uint8Array): boolean {
  return one.byteLength === other.byteLength && timingSafeEqual(one, other);
}

/** Purposes are few and known, so their keys are kept. */
function macKey(key: Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync("sha256", key, "", `jennah mac ${purpose}`, KEY_BYTES));
}

/** One key per job: a nonce drawn twice is harmless then, however many jobs a deployment ever has. */
function jobKey(key: Uint8Array, job: JobRef): Buffer {
  return Buffer.from(
    hkdfSync("sha256", key, "", Buffer.concat([Buffer.from("jennah env "), associatedData(job)]), KEY_BYTES),
  );
}

function associatedData({ tenantId, jobId }: JobRef): Buffer {
  return Buffer.from(`${tenantId}/${jobId}`, "utf8");
}

function decrypt(key: Buffer, job: JobRef, sealed: Uint8Array): Record<string, string> {
  if (sealed[0] !== FORMAT || sealed.byteLength < 1 + NONCE_BYTES + TAG_BYTES) {
    throw new InvariantError("sealed env values have an unknown form");
  }
  const tagAt = sealed.byteLength - TAG_BYTES;
  const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(1, 1 + NONCE_BYTES));
  decipher.setAAD(associatedData(job)).setAuthTag(sealed.subarray(tagAt));
  try {
    const text = Buffer.concat([decipher.update(sealed.subarray(1 + NONCE_BYTES, tagAt)), decipher.final()]);
    return Object.fromEntries(JSON.parse(text.toString("utf8")) as [string, string][]);
  } catch {
    // The cause is left out: a parser's words could quote a value.
    throw new InvariantError("sealed env values were altered, or belong to another job");
  }
}
