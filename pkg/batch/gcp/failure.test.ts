import { describe, expect, test } from "vitest";
import type { StatusEvent } from "./connection.ts";
import { delayOf, failureOf } from "./failure.ts";

const said = (...words: readonly string[]): StatusEvent[] => words.map((description) => ({ description }));
const job = (from: string, to: string, more = "") =>
  `Job state is set from ${from} to ${to} for job projects/1/locations/r/jobs/j.${more}`;
const task = (from: string, to: string, why: string) =>
  `Task state is updated from ${from} to ${to} on zones/z/instances/1 ${why}.`;
const quoting = (words: string) =>
  `Job failed due to task failure. Specifically, task with index 0 failed due to the following task event: "${words}"`;

const STARTED = [job("QUEUED", "SCHEDULED"), job("SCHEDULED", "RUNNING")];
const DELAYED =
  "Quota checking process decides to delay scheduling for the job j-uid due to inadequate quotas [Quota: CPUS, limit: 8, usage: 8, wanted: 2.].";
const PREEMPTED = "due to Spot Preemption with exit code 50001";

describe("whether the task began", () => {
  test.each<[string, readonly StatusEvent[], boolean]>([
    [
      "its end quoted from ASSIGNED, in a job that was RUNNING",
      said(...STARTED, job("RUNNING", "FAILED", quoting(task("ASSIGNED", "FAILED", PREEMPTED)))),
      false,
    ],
    [
      "the same from RUNNING",
      said(...STARTED, job("RUNNING", "FAILED", quoting(task("RUNNING", "FAILED", PREEMPTED)))),
      true,
    ],
    [
      "its end from ASSIGNED told by the task itself",
      [...said(...STARTED, job("RUNNING", "FAILED")), ...said(task("ASSIGNED", "FAILED", PREEMPTED))],
      false,
    ],
    [
      "its end from a state between, after it was RUNNING",
      said(task("ASSIGNED", "RUNNING", ""), task("PENDING", "FAILED", PREEMPTED)),
      true,
    ],
    ["its state alone", [{ taskState: "RUNNING" }, ...said(task("ASSIGNED", "FAILED", PREEMPTED))], true],
    [
      "its program's exit code, too quick to be told as RUNNING",
      said(...STARTED, job("RUNNING", "FAILED", quoting(task("ASSIGNED", "FAILED", "with exit code 3")))),
      true,
    ],
    ["nothing of its end, in a job that was RUNNING", said(...STARTED, job("RUNNING", "FAILED")), true],
    ["nothing of its end, in a job that never was", said(job("SCHEDULED", "FAILED")), false],
  ])("%s", (_, events, hasBegun) => {
    expect(failureOf(events).endedUnstarted).toBe(!hasBegun);
  });
});

describe("a job that waited for quota", () => {
  test("and failed waiting failed for that", () => {
    expect(failureOf(said(DELAYED, job("QUEUED", "FAILED")))).toMatchObject({
      reason: "QUOTA_EXCEEDED",
      message: DELAYED,
      endedUnstarted: true,
    });
  });

  test("and failed for another reason failed for that one", () => {
    const denied = "Instance i creation failed: Constraint constraints/compute.vmExternalIpAccess violated.";
    expect(failureOf(said(DELAYED, denied)).reason).toBe("PROVISIONING_DENIED");
  });

  test("and ran then is not explained by that", () => {
    const failure = failureOf(said(DELAYED, ...STARTED, job("RUNNING", "FAILED")));
    expect(failure).toMatchObject({ reason: "FAILED", endedUnstarted: false, isExplained: false });
    expect(failure.message).not.toContain("quota");
  });
});

describe("what keeps a queued job waiting", () => {
  const EXCEEDED = "x creation failed: Quota CPUS exceeded. Limit: 8 in region r";
  test.each<[string, readonly StatusEvent[], ReturnType<typeof delayOf>]>([
    ["nothing that is told", said(job("QUEUED", "SCHEDULED")), undefined],
    ["quota", said(DELAYED), { reason: "QUOTA_EXCEEDED", message: DELAYED }],
    ["quota no more, once it was scheduled", said(DELAYED, job("QUEUED", "SCHEDULED")), undefined],
    [
      "quota again, met by a machine",
      said(DELAYED, job("QUEUED", "SCHEDULED"), EXCEEDED, "Another sentence."),
      { reason: "QUOTA_EXCEEDED", message: EXCEEDED },
    ],
    ["no room", said("STOCKOUT in zone z"), { reason: "NO_CAPACITY", message: "STOCKOUT in zone z" }],
    ["what only a failure is for", said("machine type x was not found"), undefined],
  ])("%s", (_, events, delay) => {
    expect(delayOf(events)).toEqual(delay);
  });
});
