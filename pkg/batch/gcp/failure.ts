import type { StatusEvent } from "./connection.ts";

/** Why a batch job failed. */
export interface Failure {
  /** UPPER_SNAKE_CASE. */
  readonly reason: string;
  /** The cloud's own words. */
  readonly message: string;
  /** The program's; undefined where the cloud's reserved codes stand in its place. */
  readonly exitCode: number | undefined;
  readonly endedUnstarted: boolean;
  /** Whether the events said why, and not only that. */
  readonly isExplained: boolean;
}

/** Exit codes that Batch gives to tasks which did not end by themselves. */
const RESERVED: Readonly<Record<number, string>> = {
  50001: "SPOT_RECLAIMED",
  50002: "HOST_LOST",
  50003: "HOST_REBOOTED",
  50004: "UNRESPONSIVE",
  50005: "TIMEOUT",
  50006: "HOST_RECREATED",
};
/** "Failed, for none of the reasons above". */
const UNTOLD = 50000;
/** What `docker run` itself ends with when it could not make a container, which no program of the job's ever was. */
const DOCKER_FAILED = 125;

/** Words that tell failures apart which carry no code of their own; tried in order, on the cloud's words. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [
    /pull(ing)? (the )?(container )?image|image pull|failed to pull|manifest unknown|pull access denied/i,
    "IMAGE_PULL_FAILED",
  ],
  [/QUOTA_EXCEEDED|CODE_GCE_QUOTA|quota .*exceeded|exceeded .*quota/i, "QUOTA_EXCEEDED"],
  [
    /ZONE_RESOURCE_POOL_EXHAUSTED|STOCKOUT|does not have enough resources|insufficient (resources|capacity)/i,
    "NO_CAPACITY",
  ],
  [/spot (vm )?preempt/i, "SPOT_RECLAIMED"],
  [/constraints?\/|CODE_GCE_PERMISSION|permission|PERMISSION_DENIED/i, "PROVISIONING_DENIED"],
  [
    /INVALID_FIELD_VALUE|invalid value|was not found|RESOURCE_NOT_FOUND|does not exist/i,
    "PROVISIONING_INVALID",
  ],
];
/** What keeps a job waiting, for two days at most: why it failed only where nothing else is told and its task never ran. */
const DELAYED: (typeof WORDS)[number] = [/inadequate quotas?/i, "QUOTA_EXCEEDED"];

/**
 * Reasons that are of the request's own making: another attempt would meet the same, and pay for a machine to learn it. So
 * they consume `max_retries` even where no program began.
 */
const REQUESTS_FAULT = new Set([
  "IMAGE_PULL_FAILED",
  "PROVISIONING_DENIED",
  "PROVISIONING_INVALID",
  "TIMEOUT",
]);

/** Reads why a job failed from the events of it and of its task; both say it in sentences, the task's with codes as well. */
export function failureOf(events: readonly StatusEvent[]): Failure {
  const words = events.map(({ description }) => description ?? "");
  const hasStarted = didStart(events);
  const known = hasStarted ? WORDS : [...WORDS, DELAYED];
  const telling =
    words.findLast((text) => /exit code \d+/.test(text)) ??
    words.findLast((text) => known.some(([pattern]) => pattern.test(text))) ??
    "";
  const byWords = known.find(([pattern]) => words.some((text) => pattern.test(text)))?.[1];
  const code = exitCodeOf(events, telling);
  const reserved = code === undefined ? undefined : RESERVED[code];
  const isPrograms = code !== undefined && reserved === undefined && code !== UNTOLD && code !== 0;
  const reason =
    reserved ??
    (isPrograms ? reasonOfExit(code, byWords) : (byWords ?? (hasStarted ? "FAILED" : "NOT_STARTED")));
  return {
    reason,
    message: telling || words.at(-1) || "GCP Batch does not say why the job failed",
    exitCode: isPrograms ? code : undefined,
    // A program that ended with a code of its own began, though a quick one may never be told of as RUNNING.
    endedUnstarted: !hasStarted && !isPrograms && !REQUESTS_FAULT.has(reason),
    isExplained: reserved !== undefined || isPrograms || byWords !== undefined,
  };
}

/** Batch as a rule says nothing about an image that could not be pulled but a code; where it does, that is the reason. */
function reasonOfExit(code: number, byWords: string | undefined): string {
  if (byWords === "IMAGE_PULL_FAILED") return byWords;
  return code === DOCKER_FAILED ? "CONTAINER_NOT_STARTED" : "EXIT_CODE";
}

function exitCodeOf(events: readonly StatusEvent[], words: string): number | undefined {
  const told = events.findLast(({ taskExecution }) => taskExecution?.exitCode)?.taskExecution?.exitCode;
  if (told) return told;
  const [, code] = /exit code (\d+)/.exec(words) ?? [];
  return code === undefined ? undefined : Number(code);
}

/** Why a batch job that is queued does not go on. */
export type Delay = Pick<Failure, "reason" | "message">;

/** What only time or somebody at the console takes away, so that Batch goes on trying. */
const WAITED_FOR = new Set(["QUOTA_EXCEEDED", "NO_CAPACITY"]);

/** What was told last since the job came to its present state; undefined where nothing is in its way. */
export function delayOf(events: readonly StatusEvent[]): Delay | undefined {
  const words = events.map(({ description }) => description ?? "");
  const since = words.slice(words.findLastIndex((text) => text.search(CHANGE) >= 0) + 1);
  const known = [...WORDS, DELAYED].filter(([, reason]) => WAITED_FOR.has(reason));
  const message = since.findLast((text) => known.some(([pattern]) => pattern.test(text)));
  const reason = known.find(([pattern]) => message !== undefined && pattern.test(message))?.[1];
  return message === undefined || reason === undefined ? undefined : { reason, message };
}

/** A change of state in an event's words, with "Task" before a task's; a job's events quote those of its task. */
const CHANGE = /(Task state is )?(?:set|updated) from (\w+) to (\w+)/g;

/**
 * A task that ran was RUNNING: its image was being fetched, or its program ran. What failed from an earlier state never was.
 * The job goes to RUNNING by itself, so its own changes count only where no failure of the task is told.
 */
function didStart(events: readonly StatusEvent[]): boolean {
  if (events.some(({ taskState }) => taskState === "RUNNING")) return true;
  const changes = events.flatMap(({ description }) =>
    [...(description ?? "").matchAll(CHANGE)].map(([, task, from, to]) => ({
      isTask: task !== undefined,
      from,
      to,
    })),
  );
  const isTold = changes.some(({ isTask, to }) => isTask && to === "FAILED");
  return changes.some(
    ({ isTask, from, to }) => (isTask || !isTold) && (from === "RUNNING" || to === "RUNNING"),
  );
}
