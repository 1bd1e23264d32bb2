import { ExitCode, errorMessage, InvariantError, StartupError, UnavailableError } from "#pkg/errors/index.ts";
import { STORE_REFUSED } from "#pkg/store/job-store.ts";

/** Primary result codes of SQLite (sqlite.org/rescode.html); extended ones carry theirs in the low byte. */
const Code = {
  Busy: 5,
  Locked: 6,
  ReadOnly: 8,
  IoError: 10,
  Corrupt: 11,
  Full: 13,
  CantOpen: 14,
  NotADatabase: 26,
} as const;

const WORDS: ReadonlyMap<number, string> = new Map([
  [Code.ReadOnly, "the database file, or its folder, may not be written"],
  [Code.IoError, "the disk failed to read or write the database"],
  [Code.Corrupt, "the database file is damaged: stop all processes and restore it from a backup"],
  [Code.Full, "the disk is full"],
  [Code.CantOpen, "the database file cannot be opened: look at the path, its folder and who may write there"],
  [Code.NotADatabase, "the file is not an SQLite database"],
]);

/** What a store is told after it has waited for other writers for `MAX_WAIT_MS`. */
export const BUSY_WORDS = "the database is locked by another process";

function codeOf(error: unknown): number {
  const code = error instanceof Error ? (error as { errcode?: unknown }).errcode : undefined;
  return typeof code === "number" ? code & 0xff : 0;
}

/** Another connection holds what is needed; the same call succeeds later. */
export function isBusy(error: unknown): boolean {
  const code = codeOf(error);
  return code === Code.Busy || code === Code.Locked;
}

/** The database as a whole cannot go on, so every operation of the transaction failed with this one. */
export function isWholeDatabase(error: unknown): boolean {
  return isBusy(error) || WORDS.has(codeOf(error));
}

/** What a caller is told of an error of SQLite; other errors pass as they are. */
export function faultOf(error: unknown): unknown {
  if (isBusy(error)) return unavailable(BUSY_WORDS, error);
  const words = WORDS.get(codeOf(error));
  return words === undefined ? error : unavailable(words, error);
}

/** What is told of a database whose file was removed or replaced while it is open. */
export function displaced(): UnavailableError {
  const words =
    "the store does not answer: the file at DB_PATH is not the one that was opened; put that back, or restart all workers";
  return new UnavailableError(STORE_REFUSED, words);
}

export function unavailable(words: string, cause?: unknown): UnavailableError {
  return new UnavailableError("STORE_UNAVAILABLE", `the store does not answer: ${words}`, { cause });
}

/** What an operator is told when the database cannot be opened. A full disk may pass; the rest needs a hand. */
export function startupFaultOf(path: string, error: unknown): unknown {
  const code = codeOf(error);
  const words = WORDS.get(code) ?? (isFileError(error) ? errorMessage(error) : undefined);
  if (words === undefined) return faultOf(error);
  const exitCode = code === Code.Full || code === Code.IoError ? ExitCode.Failed : ExitCode.Config;
  return new StartupError(`cannot open the database ${path} (DB_PATH): ${words}`, exitCode, { cause: error });
}

function isFileError(error: unknown): boolean {
  return error instanceof Error && typeof (error as { syscall?: unknown }).syscall === "string";
}

/** An error as it crosses from the writer's thread: structured cloning keeps neither classes nor fields. */
export interface CarriedFault {
  readonly kind: "invariant" | "startup" | "unavailable" | "other";
  readonly message: string;
  /** Of an `UnavailableError`. */
  readonly reason?: string;
  readonly exitCode?: ExitCode;
  readonly cause?: string;
  readonly stack?: string | undefined;
}

export function carry(error: unknown): CarriedFault {
  const message = errorMessage(error);
  const cause = error instanceof Error && error.cause !== undefined ? errorMessage(error.cause) : undefined;
  const rest = { message, ...(cause !== undefined && { cause }) };
  if (error instanceof StartupError) return { kind: "startup", exitCode: error.exitCode, ...rest };
  if (error instanceof UnavailableError) return { kind: "unavailable", reason: error.reason, ...rest };
  const stack = error instanceof Error ? error.stack : undefined;
  return { kind: error instanceof InvariantError ? "invariant" : "other", stack, ...rest };
}

export function delivered(fault: CarriedFault): Error {
  const options = fault.cause === undefined ? {} : { cause: new Error(fault.cause) };
  if (fault.kind === "startup")
    return new StartupError(fault.message, fault.exitCode ?? ExitCode.Failed, options);
  if (fault.kind === "unavailable")
    return new UnavailableError(fault.reason ?? "STORE_UNAVAILABLE", fault.message, options);
  const error =
    fault.kind === "invariant"
      ? new InvariantError(fault.message, options)
      : new Error(fault.message, options);
  if (fault.stack !== undefined) error.stack = fault.stack;
  return error;
}
