import { expect, test } from "vitest";
import { asUnavailable, CallError, CredentialsError, isAboutLocation, outcomeOf } from "./faults.ts";

const SPEC = { serviceAccount: "" };

test.each([
  ["Location us-nowhere1 is not found or access is unauthorized.", true],
  ["Project 'p-1' not found or deleted", true],
  ["Resource 'projects/p-1/locations/us-nowhere1' was not found", true],
  ["Resource 'projects/p-1/locations/us-central1/jobs/j1' was not found", false],
  // Names may hold the very words.
  ["Resource 'projects/my-project/locations/region-1/jobs/j1' was not found", false],
  ["Service account a@b was not found in project p-1", false],
  ["Secret projects/p-1/secrets/s/versions/3 was not found", false],
  ["Requested entity was not found.", false],
])("«%s» is about the project or the region: %s", (words, isLocation) => {
  expect(isAboutLocation(words)).toBe(isLocation);
});

test("what never left is refused, not doubted, whatever the transport calls it", () => {
  const unsent = new CallError("UNAVAILABLE", "No connection established", { wasSent: false });
  expect(outcomeOf(unsent, SPEC)).toMatchObject({ kind: "refused", reason: "PROVIDER_UNREACHABLE" });
  const sent = new CallError("UNAVAILABLE", "Connection dropped", { wasSent: true });
  expect(outcomeOf(sent, SPEC)).toEqual({ kind: "unknown", cause: sent });
});

test("no credentials is the deployment's trouble, and no job's", () => {
  const error = new CredentialsError(new Error("Could not load the default credentials"));
  expect(outcomeOf(error, SPEC)).toMatchObject({ kind: "refused", reason: "NO_CREDENTIALS" });
  expect(asUnavailable(error)).toMatchObject({ reason: "NO_CREDENTIALS" });
});

test("whatever is not known is a doubt", () => {
  const cause = new Error("deadline");
  expect(outcomeOf(cause, SPEC)).toEqual({ kind: "unknown", cause });
});
