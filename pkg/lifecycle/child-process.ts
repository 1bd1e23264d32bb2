import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "#pkg/clock/index.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import { createService, type Service } from "./service.ts";

export interface ChildOptions {
  readonly name: string;
  readonly clock: Clock;
  /** The module that Node runs; absolute path. */
  readonly module: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of each unforeseen end; the child is started again after `restartMs`. */
  readonly onDeath: (how: string) => void;
  /**
   * Told instead of an end with `ExitCode.Config`: no restart mends what the child asks its operator to, so there is none.
   * Left out, that is an end as any other.
   */
  readonly onRefused?: (error: StartupError) => void;
  /** Between an unforeseen end and the next start; milliseconds. */
  readonly restartMs: number;
}

/** What a process under `runProcess` tells its parent once its service has started. */
export const READY_MESSAGE = "ready";

/** How a child ended, and the code with which this process would end for that. */
interface End {
  readonly how: string;
  readonly exitCode: ExitCode;
}

/**
 * A Node process as a service. Its start resolves when the child says `READY_MESSAGE`, and rejects when the child ends before; later
 * deaths are told of and mended. Its drain is the child's own (SIGTERM, and its end); its stop kills, also a child that has not
 * come up yet or is frozen. The child has an IPC channel, so that `runProcess` in it notices when this process dies, and a process
 * group of its own, so that a terminal's Ctrl-C reaches this process alone, which then stops its children in order.
 */
export function createChildProcess(options: ChildOptions): Service {
  const { clock } = options;
  let child: ChildProcess | undefined;
  let ended: Promise<End> = Promise.resolve({ how: "not started", exitCode: ExitCode.Failed });
  let leaving = false;
  const stopping = new AbortController();

  function launch(): ChildProcess {
    const launched = spawn(process.execPath, [options.module], {
      env: { ...options.env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      detached: true,
    });
    child = launched;
    ended = new Promise((resolve) => {
      launched.once("error", (error) => resolve({ how: error.message, exitCode: ExitCode.Failed }));
      launched.once("exit", (code, signal) => {
        const exitCode = code === ExitCode.Config ? ExitCode.Config : ExitCode.Failed;
        resolve({ how: signal ?? `exit code ${code}`, exitCode });
      });
    });
    return launched;
  }

  async function keepAlive(): Promise<void> {
    while (!leaving) {
      const { how, exitCode } = await ended;
      if (leaving) return;
      if (exitCode === ExitCode.Config && options.onRefused !== undefined) {
        const words = `${options.name} ended for good (${how}); its own lines say why`;
        options.onRefused(new StartupError(words, exitCode));
        return;
      }
      options.onDeath(how);
      await clock.sleep(options.restartMs, stopping.signal).catch(() => undefined);
      if (!leaving) launch();
    }
  }

  return createService({
    name: options.name,
    async start(signal) {
      const launched = launch();
      const kill = () => launched.kill("SIGKILL");
      signal.addEventListener("abort", kill, { once: true });
      const ready = new Promise<void>((resolve) => {
        launched.on("message", (message) => message === READY_MESSAGE && resolve());
      });
      const end = await Promise.race([ready, ended]);
      signal.removeEventListener("abort", kill);
      signal.throwIfAborted();
      if (end !== undefined) {
        throw new StartupError(`${options.name} ended before it served: ${end.how}`, end.exitCode);
      }
      void keepAlive();
    },
    async drain() {
      leaving = true;
      child?.kill("SIGTERM");
      await ended;
    },
    async stop() {
      leaving = true;
      stopping.abort();
      child?.kill("SIGKILL");
      await ended;
    },
  });
}
