/**
 * Errors, classed by what the one who gets them can do about them.
 *
 * Every message here is written for a caller and may be sent to one; what must not be seen (a driver's words, a stack)
 * goes into `cause`, which is logged and never sent. The translation to Connect codes stands in `pkg/rpc`, in one place.
 */
export {
  AlreadyExistsError,
  CallerError,
  DeadlineExceededError,
  FailedPreconditionError,
  type FieldViolation,
  InvalidArgumentError,
  NotFoundError,
  PermissionDeniedError,
  ResourceExhaustedError,
  UnauthenticatedError,
} from "./caller-error.ts";
export { assertNever, errorMessage, InvariantError } from "./invariant.ts";
export { ExitCode, StartupError, UnavailableError } from "./operator-error.ts";
