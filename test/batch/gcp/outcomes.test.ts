import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { requestFor, trusted } from "#pkg/batch/conformance/harness.ts";
import type { Refusal } from "#test/clouds/gcp/refusal.ts";
import { openWorld, type World } from "./harness.ts";

const SLEEPS = { entrypoint: "/bin/sleep", commands: ["300"] };

let world: World;
beforeEach(async () => {
  world = await openWorld();
  await world.provider.start();
});
afterEach(() => world.close());

/** How many CreateJob requests the cloud saw. */
const creates = () => world.cloud.calls.filter(({ method }) => method === "CreateJob").length;

describe("what an answer of the cloud means for a create", () => {
  const said = (
    status: Refusal["status"],
    words = "words of the cloud",
    more: Partial<Refusal> = {},
  ): Refusal => ({
    status,
    words,
    ...more,
  });
  const iam = {
    reason: "IAM_PERMISSION_DENIED",
    metadata: { permission: "iam.serviceAccounts.actAs" },
  };

  it.each<[string, Refusal, object]>([
    [
      "INVALID_ARGUMENT",
      said("INVALID_ARGUMENT"),
      { kind: "rejected", reason: "INVALID_ARGUMENT", message: "words of the cloud" },
    ],
    ["OUT_OF_RANGE", said("OUT_OF_RANGE"), { kind: "rejected", reason: "OUT_OF_RANGE" }],
    ["FAILED_PRECONDITION", said("FAILED_PRECONDITION"), { kind: "rejected", reason: "FAILED_PRECONDITION" }],
    [
      "NOT_FOUND of what the job names",
      said("NOT_FOUND", "Resource 'projects/p/secrets/s/versions/1' was not found"),
      { kind: "rejected", reason: "NOT_FOUND" },
    ],
    [
      "NOT_FOUND of the region",
      said("NOT_FOUND", "Location us-nowhere1 is not found or access is unauthorized."),
      { kind: "refused", reason: "LOCATION_NOT_FOUND" },
    ],
    [
      "PERMISSION_DENIED",
      said("PERMISSION_DENIED", "denied", iam),
      {
        kind: "refused",
        reason: "PERMISSION_DENIED_IAM_SERVICE_ACCOUNTS_ACT_AS",
        message: "denied",
        holdsUp: "target",
      },
    ],
    [
      "PERMISSION_DENIED that says it in words alone",
      said("PERMISSION_DENIED", "Permission 'batch.jobs.create' denied on 'projects/p'"),
      { kind: "refused", reason: "PERMISSION_DENIED_BATCH_JOBS_CREATE" },
    ],
    [
      "PERMISSION_DENIED to act as the deployment's service account, in Batch's own words",
      said(
        "PERMISSION_DENIED",
        "caller does not have access to act as the specified service account: jobs@test-project.iam.gserviceaccount.com",
      ),
      { kind: "refused", reason: "PERMISSION_DENIED_IAM_SERVICE_ACCOUNTS_ACT_AS", holdsUp: "target" },
    ],
    [
      "PERMISSION_DENIED that does not say of what",
      said("PERMISSION_DENIED"),
      { kind: "refused", reason: "PERMISSION_DENIED" },
    ],
    [
      "an API that is off",
      said("PERMISSION_DENIED", "Batch API has not been used in project p", { reason: "SERVICE_DISABLED" }),
      { kind: "refused", reason: "SERVICE_DISABLED" },
    ],
    [
      "billing that is off",
      said("FAILED_PRECONDITION", "enable billing", { reason: "BILLING_DISABLED" }),
      { kind: "refused", reason: "BILLING_DISABLED" },
    ],
    ["UNAUTHENTICATED", said("UNAUTHENTICATED"), { kind: "refused", reason: "CREDENTIALS_REJECTED" }],
    ["UNIMPLEMENTED", said("UNIMPLEMENTED"), { kind: "refused", reason: "NOT_A_BATCH_ENDPOINT" }],
    [
      "RESOURCE_EXHAUSTED",
      said("RESOURCE_EXHAUSTED", "Quota exceeded for CPUs"),
      { kind: "refused", reason: "QUOTA_EXCEEDED", retryAfterMs: undefined, holdsUp: "target" },
    ],
    [
      "RESOURCE_EXHAUSTED with RetryInfo",
      said("RESOURCE_EXHAUSTED", "slower", { reason: "RATE_LIMIT_EXCEEDED", retryAfterMs: 12_500 }),
      { kind: "refused", reason: "RATE_LIMITED", retryAfterMs: 12_500, holdsUp: "calls" },
    ],
    // What HTTP/2 makes of a reset stream carries the same code, and says nothing about the request.
    [
      "a reset that looks like RESOURCE_EXHAUSTED",
      said("RESOURCE_EXHAUSTED", "Bandwidth exhausted or memory limit exceeded"),
      { kind: "unknown" },
    ],
    ["UNAVAILABLE", said("UNAVAILABLE"), { kind: "unknown" }],
    ["DEADLINE_EXCEEDED", said("DEADLINE_EXCEEDED"), { kind: "unknown" }],
    ["INTERNAL", said("INTERNAL"), { kind: "unknown" }],
    ["UNKNOWN", said("UNKNOWN"), { kind: "unknown" }],
    ["ABORTED", said("ABORTED"), { kind: "unknown" }],
    ["CANCELLED", said("CANCELLED"), { kind: "unknown" }],
    ["DATA_LOSS", said("DATA_LOSS"), { kind: "unknown" }],
  ])("%s", async (_, before, outcome) => {
    world.cloud.misbehave({ method: "CreateJob", before });
    const request = requestFor(SLEEPS);
    expect(await world.provider.create(request, trusted())).toMatchObject(outcome);
    expect(creates()).toBe(1);
    expect(world.cloud.made(request.batchJobId)).toBe(0);
  });

  it.each([
    ["by its name", said("PERMISSION_DENIED", "denied", iam)],
    [
      "in Batch's own words",
      said("PERMISSION_DENIED", "caller does not have access to act as the specified service account: a@b"),
    ],
    ["in other words", said("PERMISSION_DENIED", "The caller may not act as service account a@b")],
  ])(
    "a permission on the service account that the job names, told %s, holds up that job alone",
    async (_, before) => {
      world.cloud.misbehave({ method: "CreateJob", before });
      const request = requestFor(SLEEPS, { spec: { serviceAccount: "a@b" } });
      expect(await world.provider.create(request, trusted())).toMatchObject({
        kind: "refused",
        reason: "PERMISSION_DENIED_IAM_SERVICE_ACCOUNTS_ACT_AS",
        holdsUp: "job",
      });
    },
  );

  it("another permission that is missing holds up the target, whatever the job names", async () => {
    world.cloud.deny("batch.jobs.create");
    const request = requestFor(SLEEPS, { spec: { serviceAccount: "a@b" } });
    const outcome = await world.provider.create(request, trusted());
    expect(outcome).toMatchObject({ kind: "refused", holdsUp: "target" });
  });
});
