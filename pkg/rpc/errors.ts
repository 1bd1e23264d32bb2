import { Code, ConnectError } from "@connectrpc/connect";
import {
  AlreadyExistsError,
  CallerError,
  DeadlineExceededError,
  FailedPreconditionError,
  InvalidArgumentError,
  NotFoundError,
  PermissionDeniedError,
  ResourceExhaustedError,
  UnauthenticatedError,
  UnavailableError,
} from "#pkg/errors/index.ts";
import { badRequest, errorInfo, retryInfo } from "./google-rpc.ts";

const DEFAULT_RETRY_AFTER_MS = 1000;
/** How many violations are told in full: over gRPC they travel in a trailer, of which clients take no more than 8 KiB. */
export const MAX_TOLD_VIOLATIONS = 16;

/** The code of each class that a caller can mend. */
const CALLER_CODES = [
  [UnauthenticatedError, Code.Unauthenticated],
  [PermissionDeniedError, Code.PermissionDenied],
  [NotFoundError, Code.NotFound],
  [FailedPreconditionError, Code.FailedPrecondition],
  [AlreadyExistsError, Code.AlreadyExists],
  [ResourceExhaustedError, Code.ResourceExhausted],
  [DeadlineExceededError, Code.DeadlineExceeded],
] as const;

/**
 * What a caller is told of an error: the one place where the domain's errors become Connect codes. What Connect itself
 * threw passes as it is; what nobody foresaw becomes `internal` with one opaque sentence, and the error its `cause`,
 * which is for the log and never sent.
 */
export function toConnectError(error: unknown, requestId: string): ConnectError {
  if (error instanceof ConnectError) return error;
  if (error instanceof CallerError) {
    if (error instanceof InvalidArgumentError) return invalidArgument(error);
    return new ConnectError(error.message, callerCode(error), undefined, [errorInfo(error.reason)], error);
  }
  if (error instanceof UnavailableError) return unavailable(error);
  if (error instanceof DOMException && error.name === "AbortError") {
    return new ConnectError("the caller hung up", Code.Canceled, undefined, undefined, error);
  }
  const words = `internal error; the log tells more under the request id ${requestId}`;
  return new ConnectError(words, Code.Internal, undefined, undefined, error);
}

function invalidArgument(error: InvalidArgumentError): ConnectError {
  const { violations, reason } = error;
  const told = violations.slice(0, MAX_TOLD_VIOLATIONS);
  const words = told.map(({ field, description }) => `${field}: ${description}`);
  if (told.length < violations.length) words.push(`and ${violations.length - told.length} more`);
  const details = [badRequest(told), errorInfo(reason)];
  return new ConnectError(words.join("; "), Code.InvalidArgument, undefined, details, error);
}

function callerCode(error: CallerError): Code {
  return CALLER_CODES.find(([type]) => error instanceof type)?.[1] ?? Code.Internal;
}

function unavailable(error: UnavailableError): ConnectError {
  const retryAfterMs = error.retryAfterMs ?? DEFAULT_RETRY_AFTER_MS;
  const headers = { "Retry-After": String(Math.max(1, Math.ceil(retryAfterMs / 1000))) };
  const details = [errorInfo(error.reason), retryInfo(retryAfterMs)];
  return new ConnectError(error.message, Code.Unavailable, headers, details, error);
}
