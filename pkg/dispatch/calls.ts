import { type Permit, TrustLapsedError } from "#pkg/batch/index.ts";
import { withTimeout } from "#pkg/clock/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import type { Charge } from "./charge.ts";
import { CALL_TIMEOUT_MS, type DispatcherOptions } from "./types.ts";

/** Calls to a provider, with their deadlines. */
export interface Calls {
  /** One that creates or deletes: it gets a permit, and a deadline inside the trust. @throws TrustLapsedError */
  trusted<T>(charge: Charge, call: (permit: Permit) => Promise<T>): Promise<T>;
  /** One that reads, or terminates by id. */
  untrusted<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

/** @param stopping aborts when the process ends without waiting for calls under way. */
export function createCalls({ clock, reign }: DispatcherOptions, stopping: AbortSignal): Calls {
  function trusted<T>(charge: Charge, call: (permit: Permit) => Promise<T>): Promise<T> {
    const term = charge.job.owner?.term;
    const assertTrusted = () => {
      if (reign.owner?.term !== term || reign.trustedForMs() <= 0) throw new TrustLapsedError();
    };
    const timeoutMs = Math.min(CALL_TIMEOUT_MS, reign.trustedForMs());
    return withTimeout(
      clock,
      timeoutMs,
      timedOut,
      async (signal) => {
        assertTrusted();
        return call({ assertTrusted, signal });
      },
      stopping,
    );
  }

  function untrusted<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return withTimeout(clock, CALL_TIMEOUT_MS, timedOut, call, stopping);
  }

  return { trusted, untrusted };
}

function timedOut(): Error {
  return new UnavailableError("PROVIDER_TIMEOUT", "the provider did not answer in time");
}
