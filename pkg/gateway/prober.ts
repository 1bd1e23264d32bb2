import { type Clock, withTimeout } from "#pkg/clock/index.ts";
import { createGroup, createLoop, createService, type Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { Worker } from "./workers.ts";

/** Failed probes in a row that make a worker unready; one that succeeds makes it ready. */
const FAILURES_TO_UNREADY = 3;

export interface ProberOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly workers: readonly Worker[];
  /** Between the beginnings of two probes of a worker, and how long one may take. Milliseconds. */
  readonly intervalMs: number;
  /** Told when a worker turns ready or unready. */
  onChange?(worker: Worker): void;
}

/** Asks each worker's `/ready` again and again, each in a loop of its own, so that one that hangs delays nobody else. */
export function createProber(options: ProberOptions): Service {
  const loops = options.workers.map((worker) => probeLoop(worker, options));
  const group = createGroup(
    "prober",
    loops.map(({ service }) => service),
  );
  return createService({
    name: "prober",
    async start() {
      await group.start();
      // Who listens after this start knows whom to send calls to, or that there is nobody.
      await Promise.all(loops.map(({ firstProbe }) => firstProbe));
    },
    stop: () => group.stop(),
  });
}

function probeLoop(worker: Worker, options: ProberOptions): { service: Service; firstProbe: Promise<void> } {
  const { clock, log, intervalMs } = options;
  const first = Promise.withResolvers<void>();
  let failures = 0;
  let beganMs = 0;

  async function step(signal: AbortSignal): Promise<void> {
    beganMs = clock.monotonicMs();
    try {
      const late = () => new Error(`no answer within ${intervalMs} ms`);
      const status = await withTimeout(clock, intervalMs, late, (inner) => worker.probe(inner), signal);
      if (status !== 200) throw new Error(`/ready answered ${status}`);
      succeeded();
    } catch (error) {
      if (!signal.aborted) failed(error);
    } finally {
      first.resolve();
    }
  }

  function succeeded(): void {
    failures = 0;
    if (worker.isReady) return;
    worker.setReady(true);
    log.info({ worker_id: worker.name }, "worker is ready");
    options.onChange?.(worker);
  }

  function failed(error: unknown): void {
    failures++;
    // Told once, also of a worker that never was ready: what its front door answers is nowhere else to be seen.
    if (failures !== FAILURES_TO_UNREADY) return;
    log.warn({ worker_id: worker.name, err: error, calls: worker.guests.size }, "worker is not ready");
    if (!worker.isReady) return;
    worker.setReady(false);
    options.onChange?.(worker);
  }

  const service = createLoop({
    name: `prober of ${worker.name}`,
    clock,
    // A probe that took its whole time is followed by the next at once.
    intervalMs: () => beganMs + intervalMs - clock.monotonicMs(),
    step,
    onError: (error) => log.error({ worker_id: worker.name, err: error }, "probe failed"),
  });
  return { service, firstProbe: first.promise };
}
