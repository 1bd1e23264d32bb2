import type { Clock } from "./clock.ts";

/**
 * Runs `work` with a signal that aborts after `ms` milliseconds, or when `outer` aborts. The reason of a timeout is
 * what `onTimeout` makes. `work` itself must heed the signal: nothing is abandoned behind its back.
 */
export async function withTimeout<T>(
  clock: Clock,
  ms: number,
  onTimeout: () => Error,
  work: (signal: AbortSignal) => Promise<T>,
  outer?: AbortSignal,
): Promise<T> {
  const controller = new AbortController();
  const timer = clock.timer(ms, () => controller.abort(onTimeout()));
  const onOuter = () => controller.abort(outer?.reason);
  if (outer?.aborted) onOuter();
  outer?.addEventListener("abort", onOuter, { once: true });
  try {
    return await work(controller.signal);
  } finally {
    timer.cancel();
    outer?.removeEventListener("abort", onOuter);
  }
}
