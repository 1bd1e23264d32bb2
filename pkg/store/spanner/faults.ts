import { fromBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { ExitCode, errorMessage, StartupError, UnavailableError } from "#pkg/errors/index.ts";
import { STORE_REFUSED } from "#pkg/store/job-store.ts";

/** The status codes of gRPC that mean something here. */
const Code = {
  Cancelled: 1,
  Unknown: 2,
  DeadlineExceeded: 4,
  NotFound: 5,
  PermissionDenied: 7,
  ResourceExhausted: 8,
  Aborted: 10,
  Internal: 13,
  Unavailable: 14,
  Unauthenticated: 16,
} as const;

/** What the caller of one try can do. */
export const Remedy = {
  /** Spanner gave way to another transaction and asks for the same again. */
  Again: "AGAIN",
  /** The connection, the session or the server broke: a few more tries may find it whole. */
  FewTries: "FEW_TRIES",
  None: "NONE",
} as const;
export type Remedy = (typeof Remedy)[keyof typeof Remedy];

/** Words for codes that tell of the database as a whole; a call that failed with another is at fault itself. */
const WORDS: ReadonlyMap<number, string> = new Map([
  [Code.Cancelled, "the call was cut off"],
  [Code.Unknown, "Spanner failed"],
  [Code.DeadlineExceeded, "no answer came in time"],
  [Code.NotFound, "the database is not there"],
  [Code.PermissionDenied, "the caller may not use the database"],
  [Code.ResourceExhausted, "Spanner takes no more for now"],
  [Code.Aborted, "other transactions kept coming first"],
  [Code.Internal, "Spanner failed"],
  [Code.Unavailable, "Spanner cannot be reached"],
  [Code.Unauthenticated, "the credentials were not accepted"],
]);

/** With these Spanner did answer: what is wrong stays so until an operator mends it. */
const REFUSALS = new Set<number>([Code.NotFound, Code.PermissionDenied, Code.Unauthenticated]);

/** After these a commit may have happened or not. */
const DOUBTFUL = new Set<number>([
  Code.Cancelled,
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Internal,
  Code.Unavailable,
]);

/** Where Spanner says, in the trailers of an error, how long to wait before the next try. */
const RETRY_INFO = "google.rpc.retryinfo-bin";
/** What a migration needs beyond what a worker does. */
const MIGRATION_PERMISSION = "spanner.databases.updateDdl";
/** `google.rpc.RetryInfo.retry_delay`. */
const RETRY_DELAY_FIELD = 1;

export function remedyOf(error: unknown): Remedy {
  const code = codeOf(error);
  if (code === Code.Aborted) return Remedy.Again;
  const isBroken =
    code === Code.Unavailable ||
    code === Code.ResourceExhausted ||
    isStreamCut(error) ||
    isSessionGone(error);
  return isBroken ? Remedy.FewTries : Remedy.None;
}

/** Whether a Commit that failed so may have taken effect. */
export function isDoubtful(error: unknown): boolean {
  return DOUBTFUL.has(codeOf(error));
}

/** The session is gone (they end by themselves, and with an emulator's restart); another will do. */
export function isSessionGone(error: unknown): boolean {
  return codeOf(error) === Code.NotFound && /session not found/i.test(errorMessage(error));
}

/** HTTP/2 lost the stream below gRPC, which calls that an internal error. */
function isStreamCut(error: unknown): boolean {
  return (
    codeOf(error) === Code.Internal && /RST_STREAM|EOS|HTTP\/2|Connection closed/.test(errorMessage(error))
  );
}

/** How long Spanner wants the next try to wait; undefined where it does not say. */
export function retryDelayMsOf(error: unknown): number | undefined {
  const metadata = error instanceof Error ? (error as { metadata?: unknown }).metadata : undefined;
  const trailers = metadata as { get?(key: string): readonly unknown[] } | undefined;
  const [encoded] = trailers?.get?.(RETRY_INFO) ?? [];
  if (!(encoded instanceof Uint8Array)) return undefined;
  const reader = new BinaryReader(encoded);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field !== RETRY_DELAY_FIELD) {
      reader.skip(wireType);
      continue;
    }
    const { seconds, nanos } = fromBinary(DurationSchema, reader.bytes());
    return Number(seconds) * 1_000 + nanos / 1e6;
  }
  return undefined;
}

/** What a caller is told of an error of the client; other errors pass as they are. */
export function faultOf(error: unknown): unknown {
  if (isCredentialError(error)) return refused("there are no credentials", error);
  const words = WORDS.get(codeOf(error));
  if (words === undefined) return error;
  if (REFUSALS.has(codeOf(error)) && !isSessionGone(error)) return refused(words, error);
  // Tenants read these words: the client's own, with addresses and names in them, are the cause and for the log.
  return unavailable(words, error, retryDelayMsOf(error));
}

export function unavailable(words: string, cause?: unknown, retryAfterMs?: number): UnavailableError {
  return new UnavailableError("STORE_UNAVAILABLE", `the store does not answer: ${words}`, {
    cause,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}

function refused(words: string, cause: unknown): UnavailableError {
  return new UnavailableError(STORE_REFUSED, `the store does not answer: ${words}`, { cause });
}

/** The names of what is connected to, as Spanner writes them. */
export interface DatabaseName {
  readonly project: string;
  readonly instance: string;
  readonly database: string;
}

/**
 * What an operator is told when the store cannot be opened: what is missing, and where to get it. What may pass by itself
 * stays an `UnavailableError`.
 */
export function startupFaultOf({ project, instance, database }: DatabaseName, fault: unknown): unknown {
  const path = `${project}/${instance}/${database}`;
  const error = originOf(fault);
  const message = errorMessage(error);
  const refuse = (words: string) =>
    new StartupError(`cannot open the Spanner database ${path}: ${words}`, ExitCode.Config, { cause: error });

  if (isCredentialError(error) || codeOf(error) === Code.Unauthenticated) {
    return refuse(
      "no credentials that Google accepts were found: run `gcloud auth application-default login`, set " +
        `GOOGLE_APPLICATION_CREDENTIALS, or give the machine a service account (${message})`,
    );
  }
  if (codeOf(error) === Code.PermissionDenied) {
    if (/has not been used in project|it is disabled|SERVICE_DISABLED/.test(message)) {
      return refuse(
        `the Cloud Spanner API is not enabled: run \`gcloud services enable spanner.googleapis.com --project=${project}\``,
      );
    }
    const permission = /spanner\.[A-Za-z.]+/.exec(message)?.[0];
    if (permission === undefined) {
      return refuse(`the credentials lack a permission: grant roles/spanner.databaseUser (${message})`);
    }
    const role =
      permission === MIGRATION_PERMISSION
        ? "roles/spanner.databaseAdmin has what the migration needs"
        : "roles/spanner.databaseUser has what a worker needs";
    return refuse(`the credentials lack the permission ${permission}: ${role}`);
  }
  if (isSchemaMissing(error)) return refuse("it has no schema yet: run `npm run migrate`");
  if (codeOf(error) === Code.NotFound) {
    if (/instance not found/i.test(message))
      return refuse("there is no such instance (DB_PROJECT_ID, DB_INSTANCE)");
    return refuse(
      "there is no such database (DB_DATABASE): create it with " +
        `\`gcloud spanner databases create ${database} --instance=${instance} --project=${project}\`, then run \`npm run migrate\``,
    );
  }
  return faultOf(fault);
}

/** The table that every version of the schema has is not there. */
export function isSchemaMissing(fault: unknown): boolean {
  return /table not found/i.test(errorMessage(originOf(fault)));
}

/** The client's own error, where it is wrapped in words for callers already. */
function originOf(fault: unknown): unknown {
  return fault instanceof UnavailableError ? (fault.cause ?? fault) : fault;
}

/** How Google's library words it that it found no credentials, could not use the file of them, or was told they are void. */
const CREDENTIAL_WORDS =
  /default credentials|unable to read the credential file|the incoming JSON object does not|invalid_grant|invalid_rapt|invalid_client/i;

function isCredentialError(error: unknown): boolean {
  return CREDENTIAL_WORDS.test(errorMessage(error));
}

function codeOf(error: unknown): number {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "number" ? code : -1;
}
