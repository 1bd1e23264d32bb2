import { InvariantError } from "#pkg/errors/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { Trace } from "#test/simulation/kernel/trace.ts";

/**
 * Into the trace, where that is kept.
 * @param onLine told of every line.
 * @param onBroken told of an invariant that the code itself found broken: it logs such a thing and goes on.
 */
export function createTraceLogger(
  trace: Trace,
  who: string,
  onLine: (fields: object, message: string) => void,
  onBroken: (error: Error) => void,
): Logger {
  const write =
    (isTelling: boolean) =>
    (fields: { readonly err?: unknown }, message: string): void => {
      trace.note(who, () => `log: ${message} ${describe(fields)}`, isTelling);
      onLine(fields, message);
      if (fields.err instanceof InvariantError) onBroken(fields.err);
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

function describe(fields: object): string {
  return Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value instanceof Error ? value.message : String(value)}`)
    .join(" ");
}
