import type { grpc } from "google-gax";
import { type CreateOutcome, ThrottledError } from "#pkg/batch/index.ts";
import { errorMessage, UnavailableError } from "#pkg/errors/index.ts";
import type { JobSpec } from "#pkg/job/index.ts";
import { gax } from "./gax.ts";

/** What the HTTP/2 transport makes of a stream that was reset; no answer of the service, whatever its code. */
const TRANSPORT_WORDS = ["Bandwidth exhausted or memory limit exceeded", "Protocol not secure enough"];

/** Answers of Google's front door about the project as a whole (`google.rpc.ErrorInfo`): for an operator to mend. */
const PROJECT_REASONS = new Set([
  "SERVICE_DISABLED",
  "BILLING_DISABLED",
  "CONSUMER_SUSPENDED",
  "CONSUMER_INVALID",
  "USER_PROJECT_DENIED",
  "LOCATION_ACCESS_DENIED",
  "LOCATION_POLICY_VIOLATED",
  "SECURITY_POLICY_VIOLATED",
]);

/** Thrown when a call to the cloud did not end well. */
export class CallError extends Error {
  /** The status by its name in gRPC. */
  readonly status: keyof typeof grpc.status;
  /** Whether the request left this process, as far as this process can tell. */
  readonly wasSent: boolean;
  /** Of `google.rpc.ErrorInfo`. */
  readonly reason: string | undefined;
  /** The permission that is missing, where the cloud named it. */
  readonly permission: string | undefined;
  /** Of `google.rpc.RetryInfo`. */
  readonly retryAfterMs: number | undefined;

  constructor(status: keyof typeof grpc.status, words: string, more: CallErrorParts) {
    super(words, { cause: more.cause });
    this.name = "CallError";
    this.status = status;
    this.wasSent = more.wasSent;
    this.reason = more.reason;
    this.permission = more.permission;
    this.retryAfterMs = more.retryAfterMs;
  }
}

interface CallErrorParts {
  readonly wasSent: boolean;
  readonly cause?: unknown;
  readonly reason?: string | undefined;
  readonly permission?: string | undefined;
  readonly retryAfterMs?: number | undefined;
}

/** Thrown when the credentials of this process could not be had, so that nothing was sent. */
export class CredentialsError extends Error {
  constructor(cause: unknown) {
    super(`no credentials for Google Cloud: ${errorMessage(cause)}`, { cause });
    this.name = "CredentialsError";
  }
}

/** Reads what came back of a call. */
export function callErrorOf(error: grpc.ServiceError, wasSent: boolean): CallError {
  const words = error.details || error.message;
  const status = TRANSPORT_WORDS.includes(words) ? "UNAVAILABLE" : statusOf(error.code);
  const info = detailsOf(error);
  const permission = info.metadata?.permission ?? /Permission '?([a-z]+(?:\.[A-Za-z]+)+)'?/.exec(words)?.[1];
  return new CallError(status, words, {
    wasSent,
    cause: error,
    reason: info.reason,
    permission,
    retryAfterMs: info.retryAfterMs,
  });
}

/**
 * What a create's failure means; the table stands in README.md. What the cloud may mend, or its operator, is refused for
 * now; what is wrong with this very request is rejected; and whatever may have been done is unknown.
 */
export function outcomeOf(error: unknown, spec: Pick<JobSpec, "serviceAccount">): CreateOutcome {
  if (error instanceof CredentialsError) return refused("NO_CREDENTIALS", error.message);
  if (!(error instanceof CallError)) return { kind: "unknown", cause: error };
  if (!error.wasSent) return refused("PROVIDER_UNREACHABLE", error.message);
  if (isAboutProject(error)) return refused(error.reason, error.message, error.retryAfterMs);
  switch (error.status) {
    case "INVALID_ARGUMENT":
    case "OUT_OF_RANGE":
    case "FAILED_PRECONDITION":
      return { kind: "rejected", reason: error.status, message: error.message };
    case "NOT_FOUND":
      // The project or the region is the deployment's; anything else is what this request named.
      return isAboutLocation(error.message)
        ? refused("LOCATION_NOT_FOUND", error.message)
        : { kind: "rejected", reason: "NOT_FOUND", message: error.message };
    case "PERMISSION_DENIED":
      return {
        ...refused(`PERMISSION_DENIED${suffixOf(permissionOf(error))}`, error.message),
        holdsUp: spec.serviceAccount !== "" && isAboutServiceAccount(error) ? "job" : "target",
      };
    case "UNAUTHENTICATED":
      return refused("CREDENTIALS_REJECTED", error.message);
    case "UNIMPLEMENTED":
      return refused("NOT_A_BATCH_ENDPOINT", error.message);
    case "RESOURCE_EXHAUSTED":
      // Of machines or of jobs there may be too many while calls are welcome.
      return isRate(error)
        ? { ...refused("RATE_LIMITED", error.message, error.retryAfterMs), holdsUp: "calls" }
        : refused("QUOTA_EXCEEDED", error.message, error.retryAfterMs);
    default:
      return { kind: "unknown", cause: error };
  }
}

/** A read, a termination or a removal that did not get through; it changes nothing, and may be asked again. */
export function asUnavailable(error: unknown): UnavailableError {
  if (error instanceof UnavailableError) return error;
  if (!(error instanceof CallError)) {
    const reason = error instanceof CredentialsError ? "NO_CREDENTIALS" : "GCP_UNAVAILABLE";
    return new UnavailableError(reason, errorMessage(error), { cause: error });
  }
  const { retryAfterMs } = error;
  const isThrottled = error.status === "RESOURCE_EXHAUSTED" || retryAfterMs !== undefined;
  const Thrown = isThrottled ? ThrottledError : UnavailableError;
  return new Thrown(`GCP_${error.status}`, `GCP Batch: ${error.message}`, {
    cause: error,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

/**
 * Whether a read that failed so says something about what was asked for, and not about every call: how fast they come, their
 * credentials, the project, the region, or a caller who has gone.
 */
export function isAboutOne(error: unknown): error is CallError {
  if (!(error instanceof CallError) || isAboutProject(error)) return false;
  if (isStatus(error, "NOT_FOUND")) return !isAboutLocation(error.message);
  return !isStatus(error, "RESOURCE_EXHAUSTED", "UNAUTHENTICATED");
}

export function isStatus(error: unknown, ...statuses: readonly CallError["status"][]): error is CallError {
  return error instanceof CallError && statuses.includes(error.status);
}

/** Whether the front door refused the project as a whole, whatever was asked. */
export function isAboutProject(error: CallError): error is CallError & { readonly reason: string } {
  return error.reason !== undefined && PROJECT_REASONS.has(error.reason);
}

/** How Google words it that a project or a region is not there, whatever was asked for in it. */
const LOCATION_MISSING = [
  /(?<![\w-])(location|region|project)(?![\w-])[^.]*?\bnot (be )?found\b/i,
  /\bprojects\/[^/'\s]+(\/locations\/[^/'\s]+)?'?\s+(was |is )?not found\b/i,
];

/** Whether a NOT_FOUND is about the project or the region, which no request names. */
export function isAboutLocation(words: string): boolean {
  return LOCATION_MISSING.some((pattern) => pattern.test(words));
}

function refused(reason: string, message: string, retryAfterMs?: number) {
  return { kind: "refused", reason, message, retryAfterMs, holdsUp: "target" } as const;
}

const ACT_AS = "iam.serviceAccounts.actAs";

/** The permission that is missing. Of the one to act as a service account Batch's own words tell without its name. */
function permissionOf(error: CallError): string | undefined {
  return isAboutServiceAccount(error) ? ACT_AS : error.permission;
}

/** Whether the permission that is missing is the one to run jobs as some service account. */
function isAboutServiceAccount(error: CallError): boolean {
  return /iam\.serviceAccounts\.actAs|\bact as\b[^.]*\bservice account\b/i.test(
    error.permission ?? error.message,
  );
}

function isRate(error: CallError): boolean {
  return error.reason === "RATE_LIMIT_EXCEEDED" || /requests? per|rate limit/i.test(error.message);
}

/** `batch.jobs.create` → `_BATCH_JOBS_CREATE`, so that a job's `wait_reason` says which permission is missing. */
function suffixOf(permission: string | undefined): string {
  if (permission === undefined) return "";
  return `_${permission.replace(/([a-z])([A-Z])/g, "$1_$2").replace(/[^A-Za-z]+/g, "_")}`.toUpperCase();
}

function statusOf(code: number): CallError["status"] {
  const name: string | undefined = gax.grpc.status[code];
  return name !== undefined && name in gax.grpc.status ? (name as CallError["status"]) : "UNKNOWN";
}

interface Details {
  readonly reason?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly retryAfterMs?: number | undefined;
}

function detailsOf(error: grpc.ServiceError): Details {
  if (!error.metadata || error.metadata.get("grpc-status-details-bin").length === 0) return {};
  const bare = Object.assign(new gax.GoogleError(), { metadata: error.metadata });
  const read = gax.GoogleError.parseGRPCStatusDetails(bare);
  const details: readonly unknown[] = Array.isArray(read.statusDetails) ? read.statusDetails : [];
  const delay = details.find(isRetryInfo)?.retryDelay;
  return {
    reason: read.reason,
    metadata: read.errorInfoMetadata as Details["metadata"],
    retryAfterMs: delay && Number(String(delay.seconds ?? 0)) * 1_000 + (delay.nanos ?? 0) / 1e6,
  };
}

interface RetryInfo {
  readonly retryDelay: { readonly seconds?: unknown; readonly nanos?: number };
}

function isRetryInfo(detail: unknown): detail is RetryInfo {
  return (
    typeof detail === "object" && detail !== null && "retryDelay" in detail && detail.retryDelay !== null
  );
}
