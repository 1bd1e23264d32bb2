import { type Clock, withTimeout } from "#pkg/clock/index.ts";
import { ConfigError } from "#pkg/config/index.ts";
import { ExitCode, errorMessage, StartupError } from "#pkg/errors/index.ts";
import { READY_MESSAGE } from "./child-process.ts";
import type { Service } from "./service.ts";

export interface RunOptions {
  readonly service: Service;
  readonly clock: Clock;
  /** How long a drain may take before the service is stopped with work in flight. Milliseconds. */
  readonly drainMs: number;
  /** Rejects or resolves when the process should end by itself: resolve for an orderly end, reject to exit with an error. */
  readonly ended?: Promise<void>;
  /** Told what happens, in words for an operator. */
  readonly log: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/**
 * npm passes on each SIGINT and SIGTERM that it gets to the script that it runs, also one that both got, as from a terminal's
 * Ctrl-C: a millisecond or two later, and under load more. A second one that is meant comes later, or is sent once more.
 */
const ECHO_MS = 1_000;

/**
 * Runs a service as this process: starts it, drains and stops it on SIGTERM, SIGINT or the death of the process that
 * holds its IPC channel (a second signal skips the drain, unless it is npm's echo of the first),
 * and resolves with the exit code. Errors that say which code they want (`ConfigError`, `StartupError`) get it.
 */
export async function runProcess(options: RunOptions): Promise<ExitCode> {
  const { service, clock, log } = options;
  const hurry = new AbortController();
  const asked = Promise.withResolvers<string>();
  const echoMs = process.env.npm_lifecycle_event === undefined ? 0 : ECHO_MS;
  let echoesEndMs: number | undefined;
  const onSignal = (signal: string) => {
    asked.resolve(signal);
    const nowMs = clock.monotonicMs();
    if (echoesEndMs === undefined) echoesEndMs = nowMs + echoMs;
    else if (nowMs >= echoesEndMs) hurry.abort(new Error(`second ${signal}`));
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  // Started by another process over an IPC channel: when that one dies, this one leaves too.
  const onOrphaned = () => onSignal("disconnect of the parent");
  process.once("disconnect", onOrphaned);
  process.channel?.unref();
  try {
    const failure = await Promise.race([
      service.start().then(() => {
        process.send?.(READY_MESSAGE);
        return options.ended ?? new Promise<never>(() => undefined);
      }),
      asked.promise.then((signal) => log.info({ signal }, "draining")),
    ]).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    if (failure) logFailure(log, failure.error);
    await drain();
    await service.stop();
    return failure ? exitCodeOf(failure.error) : ExitCode.Ok;
  } catch (error) {
    logFailure(log, error);
    return exitCodeOf(error);
  } finally {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal).off("disconnect", onOrphaned);
  }

  async function drain(): Promise<void> {
    const late = () => new Error(`the drain took longer than ${options.drainMs} ms`);
    try {
      await withTimeout(clock, options.drainMs, late, (signal) => service.drain(signal), hurry.signal);
    } catch (error) {
      log.error({ err: error }, "stopped with work in flight; its jobs go to other workers");
    }
  }
}

function exitCodeOf(error: unknown): ExitCode {
  if (error instanceof ConfigError) return ExitCode.Config;
  return error instanceof StartupError ? error.exitCode : ExitCode.Failed;
}

function logFailure(log: RunOptions["log"], error: unknown): void {
  log.error({ err: error }, errorMessage(error));
}
