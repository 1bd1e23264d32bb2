/** Exit codes of the commands: 78 is EX_CONFIG of sysexits.h, and tells a supervisor that a restart will not help. */
export const ExitCode = { Ok: 0, Failed: 1, Config: 78 } as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Thrown when a process cannot start or go on for a reason that an operator must mend; `exitCode` is what it exits with. */
export class StartupError extends Error {
  readonly exitCode: ExitCode;
  constructor(message: string, exitCode: ExitCode, options?: ErrorOptions) {
    super(message, options);
    this.name = "StartupError";
    this.exitCode = exitCode;
  }
}

/**
 * Thrown when something that this process depends on does not answer: the store, a worker, a cloud. The same call may
 * succeed later. A write that failed so may nevertheless have taken effect: read again, or repeat it under the same ids.
 */
export class UnavailableError extends Error {
  readonly reason: string;
  /** How long to wait before the next try; undefined where nothing better than a default is known. */
  readonly retryAfterMs: number | undefined;
  constructor(reason: string, message: string, options?: ErrorOptions & { retryAfterMs?: number }) {
    super(message, options);
    this.name = "UnavailableError";
    this.reason = reason;
    this.retryAfterMs = options?.retryAfterMs;
  }
}
