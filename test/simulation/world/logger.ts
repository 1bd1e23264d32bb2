import { TrustLapsedError } from "#pkg/batch/index.ts";
import { CallerError, StartupError, UnavailableError } from "#pkg/errors/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { CloudError } from "#test/simulation/cloud/cloud-error.ts";
import type { Trace } from "#test/simulation/kernel/trace.ts";

/**
 * Into the trace, where that is kept.
 * @param onLine told of every line.
 * @param onBroken told of an error that nobody foresaw: a loop logs it and goes on.
 */
export function createTraceLogger(
  trace: Trace,
  who: string,
  onLine: (fields: object, message: string) => void,
  onBroken: (error: unknown) => void,
): Logger {
  const write =
    (isTelling: boolean) =>
    (fields: { readonly err?: unknown }, message: string): void => {
      trace.note(who, () => `log: ${message} ${describe(fields)}`, isTelling);
      onLine(fields, message);
      if (fields.err !== undefined && !isForeseen(fields.err)) onBroken(fields.err);
    };
  const logger: Logger = {
    debug: write(false),
    info: write(false),
    warn: write(true),
    error: write(true),
    child: () => logger,
  };
  return logger;
}

/** Whether the code has a class for it, which says what to do about it; or a cloud does, whose words it passes on. */
function isForeseen(error: unknown): boolean {
  const foreseen = [CallerError, UnavailableError, StartupError, TrustLapsedError, CloudError];
  return foreseen.some((known) => error instanceof known);
}

function describe(fields: object): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.message : String(value)}`)
    .join(" ");
}
