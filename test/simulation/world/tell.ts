import type { Job, Owner } from "#pkg/job/index.ts";
import type { InsertResult, RequestResult, TermResult, WriteResult } from "#pkg/store/index.ts";
import type { StoreAnswer, StoreCall } from "./store-server.ts";

/** What the database did, in a line; `isTelling` where somebody who looks for a fault wants to read it. */
export function tellOperation(
  call: StoreCall,
  answer: StoreAnswer,
): { readonly text: string; readonly isTelling: boolean } {
  const by = `${call.from.name}:`;
  if (answer.kind === "threw")
    return { text: `${by} ${call.name} throws ${String(answer.error)}`, isTelling: true };
  const told = tellResult(call, answer.result);
  if (told !== undefined) return { text: `${by} ${told}`, isTelling: true };
  return { text: `${by} ${call.name}: ${brief(answer.result)}`, isTelling: false };
}

/** Undefined where nothing happened. */
function tellResult(call: StoreCall, result: unknown): string | undefined {
  switch (call.name) {
    case "insertJobs":
      return (result as readonly InsertResult[]).map(tellInsert).join("; ");
    case "updateJobs": {
      const results = result as readonly WriteResult[];
      return call.args[0].map((update, index) => tellWrite(update.version, results[index])).join("; ");
    }
    case "leaveRequest":
      return tellRequest(call.args[1], result as RequestResult);
    case "deleteJob":
      return `removal of …${call.args[0].jobId.slice(-6)}: ${String(result)}`;
    case "claimJobs": {
      const jobs = result as readonly Job[];
      return jobs.length === 0 ? undefined : `claims ${jobs.map(tellJob).join("; ")}`;
    }
    case "beginTerm":
      return `begin of ${call.args[0].workerId} by ${call.args[0].instance}: ${tellTerm(result as TermResult)}`;
    case "renewTerm":
      return (result as TermResult).applied ? undefined : `renewal: ${tellTerm(result as TermResult)}`;
    case "expireTerm":
      return result === true ? `expires ${tellOwner(call.args[0])}` : undefined;
    case "endTerm":
      return `ends ${tellOwner(call.args[0])}`;
    default:
      return undefined;
  }
}

function tellInsert(result: InsertResult): string {
  return result.kind === "conflict" ? `conflict: ${result.reason}` : `${result.kind} ${tellJob(result.job)}`;
}

function tellWrite(version: number, result: WriteResult | undefined): string {
  return result?.kind === "applied" ? `writes ${tellJob(result.job)}` : `stale write on version ${version}`;
}

function tellRequest(kind: string, result: RequestResult): string {
  if (result.kind === "missing") return `${kind}: there is no such job`;
  const first = result.kind === "left" && !result.first ? " (again)" : "";
  return `${kind} is ${result.kind}${first} on ${tellJob(result.job)}`;
}

function tellTerm({ applied, row }: TermResult): string {
  const stands =
    row === undefined ? "no row" : `term ${row.term} of ${row.instance}${row.over ? ", over" : ""}`;
  return `${applied ? "done" : "not done"}, ${stands}`;
}

function tellOwner(owner: Owner | undefined): string {
  return owner === undefined ? "nobody's" : `${owner.workerId} term ${owner.term}`;
}

function tellJob(job: Job): string {
  const requests = `${job.cancelRequestedAtMs === undefined ? "" : " cancel"}${job.deleteRequestedAtMs === undefined ? "" : " delete"}`;
  const name = `${job.spec.labels.plan ?? "job"} …${job.jobId.slice(-6)}`;
  return `${name} v${job.version} ${job.status} ${job.createPhase} attempt ${job.attempt}${requests}, ${tellOwner(job.owner)}`;
}

function brief(result: unknown): string {
  if (Array.isArray(result)) return `${result.length} rows`;
  return result === null || typeof result !== "object" ? String(result) : "an answer";
}
