/** One field of a request that is wrong, by its name in the proto (`resource_override.cpu_millis`). */
export interface FieldViolation {
  readonly field: string;
  /** What is wrong with it and what would be right; a sentence without the field's name. */
  readonly description: string;
}

/** Base of all errors that the caller can mend by calling differently. `reason` is stable, UPPER_SNAKE_CASE, for programs. */
export abstract class CallerError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
    this.name = new.target.name;
  }
}

/** Thrown when a request is malformed whatever the state of the system: mend the named fields and send it again. */
export class InvalidArgumentError extends CallerError {
  readonly violations: readonly FieldViolation[];
  constructor(violations: readonly FieldViolation[], options?: ErrorOptions) {
    super("INVALID_ARGUMENT", violations.map((v) => `${v.field}: ${v.description}`).join("; "), options);
    this.violations = violations;
  }
}

/** Thrown when a call names no tenant: set the header that the message names. */
export class UnauthenticatedError extends CallerError {}

/** Thrown when the caller asks for something that this installation does not allow: ask its operator. */
export class PermissionDeniedError extends CallerError {}

/** Thrown when the named thing does not exist, or belongs to another tenant; the two are never told apart. */
export class NotFoundError extends CallerError {}

/** Thrown when the state of the job forbids the call: look at the job, then decide anew. */
export class FailedPreconditionError extends CallerError {}

/** Thrown when an `Idempotency-Key` was used before for something else: use another key. */
export class AlreadyExistsError extends CallerError {}

/** Thrown when the caller has sent or asked for more than a limit allows: send less, or later. */
export class ResourceExhaustedError extends CallerError {}

/** Thrown when the caller's own time ran out. The call may still have taken effect: repeat it under the same key. */
export class DeadlineExceededError extends CallerError {}
