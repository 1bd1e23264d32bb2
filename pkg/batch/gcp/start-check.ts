import { type Clock, withTimeout } from "#pkg/clock/index.ts";
import { ExitCode, errorMessage, StartupError } from "#pkg/errors/index.ts";
import type { Connection } from "./connection.ts";
import { isRegionDenied, type Reader } from "./describe.ts";
import { CallError, CredentialsError, isAboutProject } from "./faults.ts";
import { filterOfDeployment } from "./labels.ts";
import type { Location } from "./names.ts";
import { OPEN_STATES } from "./observe.ts";

const CHECK_TIMEOUT_MS = 20_000;
/** A name that no batch job of ours has. */
const NOBODY = "jennah-start-check";

/**
 * Tries out, before the first job, what can be tried without making one: credentials, the API, the region, the right to
 * read. That the right to create is missing shows with the first create, as its `wait_reason`.
 * @throws StartupError that says what is missing, and what mends it.
 */
export async function checkStart(
  {
    connection,
    reader,
    location,
    clock,
  }: { connection: Connection; reader: Reader; location: Location; clock: Clock },
  stopping: AbortSignal,
): Promise<void> {
  const late = () => new Error(`no answer within ${CHECK_TIMEOUT_MS / 1000} s`);
  try {
    await withTimeout(
      clock,
      CHECK_TIMEOUT_MS,
      late,
      async (signal) => {
        await connection.checkCredentials();
        for await (const page of reader.list(filterOfDeployment(NOBODY, OPEN_STATES), signal))
          if (page.length === 0) break;
        await reader.get(NOBODY, signal);
      },
      stopping,
    );
  } catch (error) {
    throw asStartupError(error, location);
  }
}

function asStartupError(error: unknown, location: Location): StartupError {
  const { words, isConfig } = wordsFor(error, location);
  return new StartupError(`GCP Batch: ${words}`, isConfig ? ExitCode.Config : ExitCode.Failed, {
    cause: error,
  });
}

/** What is missing. What only time can mend exits with 1, so that a supervisor tries again. */
function wordsFor(error: unknown, { projectId, region }: Location): { words: string; isConfig: boolean } {
  const config = (words: string) => ({ words, isConfig: true });
  if (error instanceof CredentialsError) {
    return config(
      `no credentials: run as a service account, set GOOGLE_APPLICATION_CREDENTIALS, or run "gcloud auth application-default login" (${errorMessage(error.cause)})`,
    );
  }
  if (!(error instanceof CallError)) return { words: errorMessage(error), isConfig: false };
  const said = `GCP says: ${error.message}`;
  const regionWords = `BATCH_REGION=${region} or BATCH_PROJECT_ID=${projectId} is not known to Batch: "gcloud batch locations list" names the regions that the project may use`;
  if (error.reason === "SERVICE_DISABLED" || /API has not been used|it is disabled/.test(error.message)) {
    return config(
      `the Batch API is not enabled: run "gcloud services enable batch.googleapis.com --project ${projectId}"; ${said}`,
    );
  }
  if (error.reason === "BILLING_DISABLED" || /requires billing to be enabled/.test(error.message)) {
    return config(
      `billing is off for BATCH_PROJECT_ID=${projectId}: run "gcloud billing projects link ${projectId} --billing-account=<account>"; ${said}`,
    );
  }
  if (error.reason === "CONSUMER_INVALID" || /denied on resource project/.test(error.message)) {
    return config(
      `BATCH_PROJECT_ID=${projectId} is no project, or one that these credentials may not see: "gcloud projects list" names them; ${said}`,
    );
  }
  if (isRegionDenied(error)) return config(`${regionWords}; ${said}`);
  if (isAboutProject(error))
    return config(`BATCH_PROJECT_ID=${projectId} is refused as a whole (${error.reason}); ${said}`);
  switch (error.status) {
    case "PERMISSION_DENIED":
      return config(
        `BATCH_PROJECT_ID=${projectId}: the permission ${error.permission ?? "batch.jobs.get"} is missing; roles/batch.jobsEditor has it; ${said}`,
      );
    case "UNAUTHENTICATED":
      return config(`the credentials were not accepted: log in anew, or check the key; ${said}`);
    case "NOT_FOUND":
    case "INVALID_ARGUMENT":
      return config(`${regionWords}; ${said}`);
    case "UNIMPLEMENTED":
      return config(`BATCH_ENDPOINT is no endpoint of the Batch API; ${said}`);
    default:
      return { words: `the Batch API does not answer (${error.status}); ${said}`, isConfig: false };
  }
}
