import type { Entropy } from "#pkg/clock/index.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import { createKeyring, type Keyring } from "#pkg/job/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";

export interface OpenKeyringOptions {
  readonly store: JobStore;
  /** `SECRETS_KEY`; undefined takes the deployment's own data key. */
  readonly keys: readonly Uint8Array[] | undefined;
  readonly entropy: Entropy;
  readonly log: Logger;
}

/** How often the fingerprint is tried to be set while other workers change it. */
const TRIES = 10;

/**
 * The deployment's keys, checked against the fingerprint that the store remembers: a worker that could not open what
 * others seal must not serve.
 * @throws StartupError (78) when the key that seals now is not among the worker's.
 */
export async function openKeyring({ store, keys, entropy, log }: OpenKeyringOptions): Promise<Keyring> {
  const keyring = createKeyring(keys ?? [await dataKeyOf(store, log)], entropy);
  for (let tries = 0; tries < TRIES; tries++) {
    const { keyFingerprint: current } = await store.meta();
    if (current === keyring.sealingKeyId) return keyring;
    if (current !== undefined && !keyring.keyIds.includes(current))
      throw missing(current, keys !== undefined);
    if (await store.setKeyFingerprint(current, keyring.sealingKeyId)) {
      if (current !== undefined) log.info({ from: current, to: keyring.sealingKeyId }, "secrets key changed");
      return keyring;
    }
  }
  throw new StartupError("the workers of this deployment keep changing its secrets key", ExitCode.Failed);
}

async function dataKeyOf(store: JobStore, log: Logger): Promise<Uint8Array> {
  const { key, besideData } = await store.dataKey();
  if (besideData) {
    log.warn({}, "SECRETS_KEY is not set: the key lies in the database, together with what it protects");
  }
  return key;
}

function missing(fingerprint: string, isSet: boolean): StartupError {
  const words = isSet
    ? "which is not among its keys: add it behind the first"
    : "which is not its data key: set it to that key";
  return new StartupError(
    `SECRETS_KEY: the deployment seals with the key ${fingerprint}, ${words}`,
    ExitCode.Config,
  );
}
