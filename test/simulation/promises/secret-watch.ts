import type { BatchJob } from "#test/simulation/cloud/batch-job.ts";
import { ENV_MARKER, ENV_NAME } from "#test/simulation/world/setting.ts";
import type { StoreCall } from "#test/simulation/world/store-server.ts";
import type { Ledger } from "./ledger.ts";
import { Promised, type Report, type Tested } from "./promise.ts";
import { nameOf } from "./row-watch.ts";

export interface SecretWatchOptions {
  readonly ledger: Ledger;
  readonly report: Report;
  readonly tested: Tested;
}

/** Judges where the values of jobs' environments show. */
export function createSecretWatch({ ledger, report, tested }: SecretWatchOptions) {
  /** Something is written or told that whoever reads rows, logs or answers may see. */
  function onTold(where: string, value: unknown): void {
    if (shows(value)) report(Promised.Secrets, `an env value shows in ${where}`);
  }

  return {
    onTold,
    applied(call: StoreCall): void {
      if (call.name === "insertJobs" || call.name === "updateJobs") onTold(call.name, call.args[0]);
    },
    onMade(job: BatchJob): void {
      const row = ledger.jobs.get(job.jobId);
      if (row === undefined) return;
      const isNamed = row.spec.envNames.includes(ENV_NAME);
      if (isNamed) tested(Promised.Secrets);
      const expected = isNamed ? `${ENV_MARKER} of ${row.spec.labels.plan}` : undefined;
      if (job.env[ENV_NAME] !== expected)
        report(Promised.Secrets, `attempt ${job.attempt} of ${nameOf(row)} has ${job.env[ENV_NAME]}`);
    },
  };
}

/** What is told is a tree, and not a deep one; a cause of a cause may be a cycle. */
const DEEPEST = 8;

function shows(value: unknown, depth = 0): boolean {
  if (typeof value === "string") return value.includes(ENV_MARKER);
  if (typeof value !== "object" || value === null || depth > DEEPEST) return false;
  if (value instanceof Uint8Array) return Buffer.from(value).includes(ENV_MARKER);
  if (value instanceof Error && (shows(value.message) || shows(value.cause, depth + 1))) return true;
  return Object.values(value).some((each) => shows(each, depth + 1));
}
