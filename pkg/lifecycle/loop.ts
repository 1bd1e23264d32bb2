import type { Clock } from "#pkg/clock/index.ts";
import { createService, type Service } from "./service.ts";

export interface LoopOptions {
  readonly name: string;
  readonly clock: Clock;
  /** Rest between the end of one step and the beginning of the next, unless woken. Milliseconds; asked anew each time. */
  readonly intervalMs: () => number;
  /** One round of the work. `signal` aborts when the loop is stopped. */
  step(signal: AbortSignal): Promise<void>;
  /** Called with what a step threw; the loop goes on. */
  onError(error: unknown): void;
}

/** A service that does the same thing again and again, one step at a time. */
export interface Loop extends Service {
  /** Has the next step begin now; when one is under way, right after it. Many wakes before a step are one. */
  wake(): void;
}

/** The first step begins at `start`, which does not wait for it. A drain lets the step under way finish; a stop aborts it. */
export function createLoop(options: LoopOptions): Loop {
  const { clock } = options;
  const stopping = new AbortController();
  let resting = new AbortController();
  let woken = false;
  let ending = false;
  let running: Promise<void> = Promise.resolve();

  async function run(): Promise<void> {
    while (!ending) {
      woken = false;
      try {
        await options.step(stopping.signal);
      } catch (error) {
        if (!ending) options.onError(error);
      }
      if (ending) return;
      if (!woken) await rest();
    }
  }

  async function rest(): Promise<void> {
    resting = new AbortController();
    // The only reason for this sleep to reject is a wake.
    await clock.sleep(options.intervalMs(), resting.signal).catch(() => undefined);
  }

  function wake(): void {
    woken = true;
    resting.abort();
  }

  function end(): void {
    ending = true;
    wake();
  }

  const service = createService({
    name: options.name,
    async start() {
      running = run();
    },
    async drain() {
      end();
      await running;
    },
    async stop() {
      end();
      stopping.abort();
      await running;
    },
  });
  return Object.defineProperties({ wake } as Loop, Object.getOwnPropertyDescriptors(service));
}
