import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import type { Refusal } from "#test/clouds/gcp/refusal.ts";
import { startNode } from "#test/support/node-process.ts";
import { openWorld, type World } from "./harness.ts";

let world: World;
beforeEach(async () => {
  world = await openWorld();
});
afterEach(() => world.close());

async function failure(): Promise<StartupError> {
  const error = await world.provider.start().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StartupError)) throw new Error(`it was to fail at the start, not with ${error}`);
  return error;
}

describe("the check at the start", () => {
  it.each<[string, Refusal, string, ExitCode]>([
    [
      "the API is off",
      { status: "PERMISSION_DENIED", words: "Batch API has not been used", reason: "SERVICE_DISABLED" },
      "gcloud services enable batch.googleapis.com --project test-project",
      ExitCode.Config,
    ],
    [
      "the right to read is missing",
      {
        status: "PERMISSION_DENIED",
        words: "denied",
        metadata: { permission: "batch.jobs.get" },
        reason: "IAM_PERMISSION_DENIED",
      },
      "the permission batch.jobs.get is missing; roles/batch.jobsEditor has it",
      ExitCode.Config,
    ],
    [
      "the region is not one of Batch, by the words alone",
      {
        status: "PERMISSION_DENIED",
        words: "Location us-central1 is not found or access is unauthorized.",
      },
      "BATCH_REGION=us-central1 or BATCH_PROJECT_ID=test-project is not known",
      ExitCode.Config,
    ],
    [
      "the region is not one of Batch, by other words",
      {
        status: "PERMISSION_DENIED",
        words: "Permission denied on 'locations/us-central1' (or it may not exist).",
      },
      "BATCH_REGION=us-central1 or BATCH_PROJECT_ID=test-project is not known",
      ExitCode.Config,
    ],
    [
      "the region is not one of Batch, by the reason",
      { status: "PERMISSION_DENIED", words: "denied", reason: "LOCATION_ACCESS_DENIED" },
      "BATCH_REGION=us-central1 or BATCH_PROJECT_ID=test-project is not known",
      ExitCode.Config,
    ],
    [
      "the region is not there",
      { status: "NOT_FOUND", words: "Location us-central1 is not found." },
      "BATCH_REGION=us-central1 or BATCH_PROJECT_ID=test-project is not known",
      ExitCode.Config,
    ],
    [
      "a right in the region is missing",
      {
        status: "PERMISSION_DENIED",
        words:
          "Permission 'batch.jobs.get' denied on 'projects/p/locations/us-central1/jobs/j' (or it may not exist).",
      },
      "the permission batch.jobs.get is missing",
      ExitCode.Config,
    ],
    [
      "billing is off",
      {
        status: "PERMISSION_DENIED",
        words: "This API method requires billing to be enabled.",
        reason: "BILLING_DISABLED",
      },
      "gcloud billing projects link test-project",
      ExitCode.Config,
    ],
    [
      "there is no such project",
      {
        status: "PERMISSION_DENIED",
        words: "Permission denied on resource project test-project.",
        reason: "CONSUMER_INVALID",
      },
      "BATCH_PROJECT_ID=test-project is no project",
      ExitCode.Config,
    ],
    [
      "the project is suspended",
      { status: "PERMISSION_DENIED", words: "no longer", reason: "CONSUMER_SUSPENDED" },
      "BATCH_PROJECT_ID=test-project is refused as a whole (CONSUMER_SUSPENDED)",
      ExitCode.Config,
    ],
    [
      "the credentials are not taken",
      { status: "UNAUTHENTICATED", words: "bad token" },
      "credentials were not accepted",
      ExitCode.Config,
    ],
    [
      "the endpoint is another's",
      { status: "UNIMPLEMENTED", words: "unknown service" },
      "BATCH_ENDPOINT is no endpoint",
      ExitCode.Config,
    ],
    [
      "nobody answers",
      { status: "UNAVAILABLE", words: "later" },
      "does not answer (UNAVAILABLE)",
      ExitCode.Failed,
    ],
  ])("says when %s", async (_, refusal, words, exitCode) => {
    world.cloud.refuseAll(refusal);
    const error = await failure();
    expect(error.message).toContain(words);
    // What the cloud said is never kept from whoever must mend it.
    expect(error.message).toContain(refusal.words);
    expect(error.exitCode).toBe(exitCode);
    const output = world.lines.join("");
    expect(output).toContain("Failed to create GCP Batch client");
    // That would be another trouble, and no reason not to start.
    expect(output).not.toContain("batch.jobs.list is missing");
  });

  it("says when the region is not one of Batch", async () => {
    const elsewhere = await openWorld({ provider: { region: "us-nowhere1" } });
    await expect(elsewhere.provider.start()).rejects.toThrow("BATCH_REGION=us-nowhere1");
    await elsewhere.close();
  });

  it("says when the right to read is missing, even where the cloud does not say which right is", async () => {
    world.cloud.refuseAll({ status: "PERMISSION_DENIED", words: "The caller does not have permission" });
    expect((await failure()).message).toContain("roles/batch.jobsEditor");
  });

  it("lets an account that may not list start, with a warning", async () => {
    world.cloud.deny("batch.jobs.list");
    await world.provider.start();
    expect(world.lines.join("")).toContain("batch.jobs.list is missing");
  });

  it("makes nothing, and warns only when no service account is set", async () => {
    await world.provider.start();
    expect(new Set(world.cloud.calls.map(({ method }) => method))).toEqual(new Set(["ListJobs", "GetJob"]));
    expect(world.lines).toEqual([]);

    const bare = await openWorld({ provider: { serviceAccount: "" } });
    await bare.provider.start();
    expect(bare.lines.join("")).toContain("BATCH_SERVICE_ACCOUNT is not set");
    await bare.close();
  });

  it.each<[string, (path: string) => Promise<unknown>, string]>([
    ["is not there", () => Promise.resolve(), "does not exist"],
    ["is a folder", (path) => mkdir(path), "does not exist, or it is not a file"],
    ["is no JSON", (path) => writeFile(path, "{"), "in JSON at position 1"],
    ["lacks a field", (path) => writeFile(path, '{"type":"service_account"}'), "a client_email field"],
  ])(
    "of a worker whose file of credentials %s says how to get them, and exits 78",
    async (_, make, words) => {
      const folder = await mkdtemp(join(tmpdir(), "jennah-gcp-"));
      const path = join(folder, "key.json");
      await make(path);
      const worker = startNode("cmd/worker/main.ts", {
        BATCH_PROVIDER: "gcp",
        BATCH_PROJECT_ID: "test-project",
        BATCH_REGION: "us-central1",
        // Loopback, so that nothing is asked of anybody; https, so that credentials are needed.
        BATCH_ENDPOINT: "https://127.0.0.1:9",
        GOOGLE_APPLICATION_CREDENTIALS: path,
        DB_PROVIDER: "sqlite",
        DB_PATH: join(folder, "jennah.db"),
        WORKER_PORT: "0",
        WORKER_HOST: "127.0.0.1",
        LOG_FORMAT: "json",
      });
      const told = await worker.line(
        (line) => line.includes("Failed to create GCP Batch client") && line.includes("no credentials"),
      );
      expect(told).toContain(words);
      expect((await worker.ended).code).toBe(ExitCode.Config);
      await rm(folder, { recursive: true });
    },
  );
});
