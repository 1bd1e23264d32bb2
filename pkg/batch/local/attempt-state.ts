import { type BatchJobState, BatchPhase } from "#pkg/batch/index.ts";
import { assertNever } from "#pkg/errors/index.ts";
import type { ExitRecord, PidRecord } from "./records.ts";

/** Everything that decides where an attempt stands. */
export interface AttemptFacts {
  readonly batchJobId: string;
  readonly isRemoved: boolean;
  /** `torn`: the file is there and says nothing. */
  readonly pid: PidRecord | "torn" | undefined;
  readonly exit: ExitRecord | "torn" | undefined;
  /** The process of `pid` lives, with that start time, in this boot. */
  readonly isAlive: boolean;
  readonly isStopping: boolean;
  /** When the link was taken. */
  readonly startedAtMs: number | undefined;
  /** When the end was recorded. */
  readonly endedAtMs: number | undefined;
  /** The last line of the output, for a program that could not be started. */
  readonly lastWords: string | undefined;
}

const UNSTARTABLE: Readonly<Record<number, string>> = {
  126: "the program cannot be executed",
  127: "the program was not found",
};
/** A shell adds a signal's number to this; signals go to 64. Programs end with codes above of their own accord (255). */
const SIGNAL_BASE = 128;
const LAST_SIGNAL = 64;

/** The table of README.md. Undefined: there is no such batch job (any more). */
export function stateOf(facts: AttemptFacts): BatchJobState | undefined {
  if (facts.isRemoved) return undefined;
  if (facts.exit === "torn") return lost(facts, "the record of its end is torn; the machine lost power");
  if (facts.exit !== undefined) return ended(facts, facts.exit);
  if (facts.pid === undefined) return make(facts, BatchPhase.Queued, "CREATED", { startedAtMs: undefined });
  if (facts.pid !== "torn" && facts.pid.kind === "none") {
    const times = { startedAtMs: undefined, endedAtMs: facts.startedAtMs };
    if (facts.pid.why === "cancelled")
      return make(facts, BatchPhase.Cancelled, "CANCELLED", {
        ...times,
        message: "cancelled before it started",
      });
    return { ...lost(facts, "the machine restarted before it was known to have started"), ...times };
  }
  if (!facts.isAlive) return lost(facts, "its process is gone and left no exit code");
  return facts.isStopping
    ? make(facts, BatchPhase.Stopping, "STOPPING", {})
    : make(facts, BatchPhase.Running, "RUNNING", {});
}

function ended(facts: AttemptFacts, exit: ExitRecord): BatchJobState {
  const exitCode = exit.code;
  switch (exit.why) {
    case "cancelled":
      return make(facts, BatchPhase.Cancelled, "CANCELLED", { exitCode, message: "cancelled" });
    case "timeout":
      return make(facts, BatchPhase.Failed, "TIMED_OUT", {
        exitCode,
        reason: "TIMEOUT",
        message: "the program ran longer than its run-time limit",
      });
    case "exited":
    case "terminated":
      if (exitCode === 0) return make(facts, BatchPhase.Succeeded, "EXITED", { exitCode });
      return make(facts, BatchPhase.Failed, "EXITED", {
        exitCode,
        reason: "EXIT_CODE",
        message: wordsOf(exitCode, facts.lastWords),
      });
    default:
      return assertNever(exit.why);
  }
}

/** Where in the shim the shell says that it was: a path of this installation, and nothing to a caller. */
const SHIM_PLACE = /^\S*shim\.sh: (exec: )?(line )?\d+: (exec: )?/;

function wordsOf(code: number, lastWords: string | undefined): string {
  const unstartable = UNSTARTABLE[code];
  // Said by the shim's shell only; a program that ends with such a code itself may have written anything, secrets too.
  if (unstartable !== undefined && lastWords !== undefined && SHIM_PLACE.test(lastWords))
    return `exit code ${code}: ${unstartable}: ${lastWords.replace(SHIM_PLACE, "")}`;
  if (code > SIGNAL_BASE && code <= SIGNAL_BASE + LAST_SIGNAL)
    return `exit code ${code}: ended by signal ${code - SIGNAL_BASE}`;
  return `exit code ${code}`;
}

function lost(facts: AttemptFacts, message: string): BatchJobState {
  return make(facts, BatchPhase.Failed, "LOST", { reason: "PROVIDER_LOST", message });
}

function make(
  facts: AttemptFacts,
  phase: BatchPhase,
  providerState: string,
  rest: Partial<BatchJobState>,
): BatchJobState {
  return {
    batchJobId: facts.batchJobId,
    providerJobId: facts.batchJobId,
    phase,
    providerState,
    startedAtMs: facts.startedAtMs,
    endedAtMs: facts.endedAtMs,
    reason: undefined,
    message: undefined,
    exitCode: undefined,
    // A shim that cannot start anything leaves the link untaken, or is lost, where nobody knows what ran.
    endedUnstarted: false,
    ...rest,
  };
}
