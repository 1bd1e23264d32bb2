/** Thrown when the program finds itself in a state that its own rules exclude: a defect, never the caller's doing. */
export class InvariantError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "InvariantError";
  }
}

/** Closes a `switch` over a union: the compiler proves that it is never reached, and at run time it says with what it was. */
export function assertNever(value: never): never {
  throw new InvariantError(`unexpected value: ${JSON.stringify(value)}`);
}

/** The words of anything that was thrown, for a log line or a wrapped error. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
