/** How deep a chain of causes is followed; deeper ones are cut, so that a cycle ends. */
const MAX_CAUSES = 8;

/** An error as it stands in a log line. */
export interface SerializedError {
  readonly type: string;
  readonly message: string;
  readonly stack?: string;
  readonly code?: string | number;
  readonly cause?: SerializedError;
  readonly errors?: readonly SerializedError[];
}

/**
 * Type, message, stack, code and causes of an error. Other properties are left out: drivers and HTTP clients hang whole
 * requests on their errors, headers and bodies with secrets among them.
 */
export function serializeError(error: unknown, depth = 0): SerializedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const code = (error as { code?: unknown }).code;
  const deeper = depth < MAX_CAUSES;
  return {
    type: error.name,
    message: error.message,
    ...(error.stack !== undefined && depth === 0 && { stack: error.stack }),
    ...((typeof code === "string" || typeof code === "number") && { code }),
    ...(error.cause !== undefined && deeper && { cause: serializeError(error.cause, depth + 1) }),
    ...(error instanceof AggregateError &&
      deeper && { errors: error.errors.map((each: unknown) => serializeError(each, depth + 1)) }),
  };
}
