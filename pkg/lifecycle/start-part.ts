import type { Service } from "./service.ts";

/**
 * Starts a part of something whose own start `signal` belongs to: when that aborts, the part is stopped in the midst of its
 * start, which then rejects. Whoever starts a part so stops it with the whole, too, and hears of its faults then.
 */
export async function startPart(part: Pick<Service, "start" | "stop">, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const onAbort = () => void part.stop().catch(() => undefined);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await part.start();
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
