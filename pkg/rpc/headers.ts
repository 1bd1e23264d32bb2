import { type FieldViolation, InvalidArgumentError } from "#pkg/errors/index.ts";
import { isJobId } from "#pkg/job/index.ts";

export const IDEMPOTENCY_KEY_HEADER = "Idempotency-Key";
export const JOB_ID_HEADER = "X-Jennah-Job-Id";
export const REQUEST_ID_HEADER = "X-Request-Id";

const PRINTABLE = /^[\x20-\x7e]{1,128}$/;

/** The request id that a caller sent, when it can stand in a log line; undefined has one made. */
export function soundRequestId(value: string | null | undefined): string | undefined {
  return value !== undefined && value !== null && PRINTABLE.test(value) ? value : undefined;
}

/** What the headers of `SubmitJob` and `RetryJob` say of repeats. */
export interface RepeatHeaders {
  readonly idempotencyKey: string | undefined;
  /** The id that the gateway minted for the call; undefined for a call that came without one. */
  readonly jobId: string | undefined;
  readonly violations: readonly FieldViolation[];
}

/**
 * Reads them. A malformed one is a violation and not ignored: whoever sent it would otherwise believe that its repeats are
 * safe.
 */
export function repeatHeadersOf(headers: Headers): RepeatHeaders {
  const idempotencyKey = headers.get(IDEMPOTENCY_KEY_HEADER) ?? undefined;
  const jobId = headers.get(JOB_ID_HEADER) ?? undefined;
  const violations: FieldViolation[] = [];
  if (idempotencyKey !== undefined && !PRINTABLE.test(idempotencyKey)) {
    violations.push({
      field: IDEMPOTENCY_KEY_HEADER,
      description: "must be 1 to 128 printable ASCII characters",
    });
  }
  if (jobId !== undefined && !isJobId(jobId)) {
    violations.push({ field: JOB_ID_HEADER, description: "must be a UUIDv7 in lower case" });
  }
  return { idempotencyKey, jobId, violations };
}

/** @throws InvalidArgumentError when there is any violation. */
export function requireNone(violations: readonly FieldViolation[]): void {
  if (violations.length > 0) throw new InvalidArgumentError(violations);
}
