import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newJob } from "#test/support/new-job.ts";
import type { StoreCore } from "./core.ts";
import { createModelCore } from "./model-core.ts";
import { type Call, step } from "./random-calls.ts";
import { HASHES, JOB_IDS, KEYS, TENANTS } from "./random-parts.ts";
import { createSqliteCore } from "./sqlite-core.ts";

const RUNS = 400;
/** The length of a run is anything up to it, and half of it on average. */
const MAX_STEPS = 130;

type Answer = { readonly value: unknown } | { readonly refusal: string };

function answerOf(core: StoreCore, { name, args }: Call): Answer {
  try {
    // Called with the arguments of its own name, as its own: nothing that one core keeps is known to the other.
    const value = (core[name] as (...args: readonly unknown[]) => unknown)(...structuredClone(args));
    return { value: name === "meta" ? core.meta().keyFingerprint : value };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { refusal: `${error.constructor.name}: ${error.message}` };
  }
}

/** All that the port lets anyone see. How long keys are kept is seen by forgetting and using them, so this comes last. */
function everythingIn(core: StoreCore) {
  const refs = TENANTS.flatMap((tenantId) => JOB_IDS.map((jobId) => ({ tenantId, jobId })));
  return {
    rows: core.getJobs(refs),
    events: refs.map((ref) => core.listEvents(ref)),
    tombstones: refs.filter((ref) => core.hasTombstone(ref)),
    workers: core.readWorkers(),
    deploymentId: core.meta().deploymentId,
    keyFingerprint: core.meta().keyFingerprint,
    forgotten: core.purge(6, 100),
    keys: PROBES.map((probe) => core.insertJobs([probe])),
  };
}

const PROBES = TENANTS.flatMap((tenantId) =>
  KEYS.flatMap((idempotencyKey) =>
    HASHES.map((requestHash) => newJob({ tenantId, idempotencyKey, requestHash })),
  ),
);

function agree(model: unknown, sqlite: unknown, trace: readonly string[]): void {
  // The words of a failure cost more than the comparison.
  if (isDeepStrictEqual(model, sqlite)) return;
  expect(model, trace.join("\n")).toStrictEqual(sqlite);
}

/** The kinds of an answer, in words, so that it can be seen which were compared. */
function kindsOf({ name }: Call, answer: Answer): readonly string[] {
  if ("refusal" in answer) return [`${name}: ${answer.refusal.replace(/j\d|[A-Z]{6,}/g, "_")}`];
  const { value } = answer;
  const values: readonly unknown[] = Array.isArray(value) && value.length > 0 ? value : [value];
  return values.map((each) => `${name}: ${kindOf(each)}`);
}

function kindOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if (Array.isArray(value)) return "none";
  if ("jobId" in value || "seq" in value || "beat" in value) return "some";
  const { reason, kind, first, applied, next } = value as Record<string, unknown>;
  if ("jobs" in value) return next === undefined ? "last page" : "page";
  return [reason ?? kind, first, applied].filter((word) => word !== undefined).join(" ");
}

/** What every run meets dozens of times; were one missing, the agreement would say less than it seems to. */
const KINDS_MET = [
  "insertJobs: inserted",
  "insertJobs: repeated",
  "insertJobs: DELETED",
  "insertJobs: DIFFERENT_REQUEST",
  "updateJobs: applied",
  "updateJobs: stale",
  "updateJobs: InvariantError: job _: _ may not become _",
  "updateJobs: InvariantError: job _ is named twice in one call",
  "leaveRequest: left true",
  "leaveRequest: left false",
  "leaveRequest: refused",
  "leaveRequest: missing",
  "deleteJob: applied",
  "deleteJob: stale",
  "purge: 1",
  "listJobs: page",
  "findRequests: some",
  "findOwned: some",
  "claimJobs: some",
  "hasJobsOf: true",
  "beginTerm: true",
  "beginTerm: false",
  "renewTerm: true",
  "renewTerm: false",
  "expireTerm: true",
  "expireTerm: false",
];

describe("the model and SQLite", () => {
  it("answer every sequence of calls alike, with every kind of answer, and hold the same in the end", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(fc.array(step, { maxLength: MAX_STEPS, size: "max" }), (steps) => {
        const options = { deploymentId: "deployment" };
        const [model, sqlite] = [createModelCore(options), createSqliteCore(options)];
        const trace: string[] = [];
        try {
          for (const each of steps) {
            const call = each.callOn(sqlite);
            trace.push(`${call.name}(${call.args.map((arg) => JSON.stringify(arg)).join(", ")})`);
            const expected = answerOf(sqlite, call);
            agree(answerOf(model, call), expected, trace);
            for (const kind of kindsOf(call, expected)) seen.add(kind);
          }
          agree(everythingIn(model), everythingIn(sqlite), trace);
        } finally {
          model.close();
          sqlite.close();
        }
      }),
      { numRuns: RUNS },
    );
    expect([...seen]).toEqual(expect.arrayContaining(KINDS_MET));
  });
});
