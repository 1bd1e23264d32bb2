import fc from "fast-check";
import { CreatePhase, EventType, isTerminal, type JobRef, JobStatus, type Owner } from "#pkg/job/index.ts";
import type { JobChanges, JobFilter, NewEvent, NewJob } from "#pkg/store/index.ts";
import { newJob } from "#test/support/new-job.ts";

// Small alphabets, so that most calls meet what earlier ones left.
export const TENANTS: readonly string[] = ["a", "b"];
export const JOB_IDS: readonly string[] = ["j1", "j2", "j3", "j4", "j5"];
export const KEYS: readonly string[] = ["k1", "k2"];
export const HASHES: readonly string[] = ["h1", "h2"];
export const WORKERS: readonly string[] = ["w1", "w2", "w3"];
export const INSTANCES: readonly string[] = ["i1", "i2"];
export const TARGETS: readonly string[] = ["t1", "t2", "t3"];
const STATUSES = Object.values(JobStatus);

/** Undefined every other time. */
export const maybe = <T>(value: fc.Arbitrary<T>) => fc.oneof(fc.constant(undefined), value);
/** Undefined in five of six. */
export const seldom = <T>(value: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: value });
/** `often` in four of five. */
export const mostly = <T>(often: T, others: readonly T[]) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constant(often) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

/** Epoch milliseconds, at which rows are made, due and forgotten alike. */
export const moment = fc.integer({ min: 0, max: 12 });
export const term = fc.integer({ min: 1, max: 3 });
export const level = mostly(1, [2]);
export const limit = fc.integer({ min: 1, max: 5 });
export const tenant = fc.constantFrom(...TENANTS);
export const jobId = fc.constantFrom(...JOB_IDS);
export const worker = fc.constantFrom(...WORKERS);
export const ref: fc.Arbitrary<JobRef> = fc.record({ tenantId: tenant, jobId });
export const owner: fc.Arbitrary<Owner> = fc.record({ workerId: worker, term });
export const status = fc.constantFrom(...STATUSES);
const createPhase = fc.constantFrom(...Object.values(CreatePhase));

export const event: fc.Arbitrary<NewEvent> = fc.record({
  type: fc.constantFrom(...Object.values(EventType)),
  reason: fc.constantFrom("", "BECAUSE"),
});

export const changes: fc.Arbitrary<JobChanges> = fc.record(
  {
    status,
    attempt: fc.integer({ min: 1, max: 3 }),
    createPhase,
    unstartedAttempts: fc.integer({ min: 0, max: 2 }),
    providerJobId: maybe(fc.constant("p")),
    providerState: maybe(fc.constantFrom("QUEUED", "RUNNING")),
    error: maybe(fc.record({ reason: fc.constant("R"), message: fc.constantFrom("one", "two") })),
    waitReason: maybe(fc.constant("CAPACITY")),
    dueAtMs: maybe(moment),
    startedAtMs: maybe(moment),
    completedAtMs: maybe(moment),
    owner: maybe(owner),
  },
  { requiredKeys: [] },
);

export const filter: fc.Arbitrary<JobFilter> = fc.record({
  statuses: fc.subarray(STATUSES),
  namePrefix: mostly("", ["b", "build-2"]),
  labels: mostly<Record<string, string>>({}, [{ team: "x" }, { none: "" }]),
  kind: mostly("", ["container", "other"]),
  createdAfterMs: seldom(moment),
  createdBeforeMs: seldom(moment),
});

export const fresh: fc.Arbitrary<NewJob> = fc
  .record({
    ref,
    status,
    age: fc.integer({ min: 0, max: 2 }),
    deleteRequestedAtMs: maybe(moment),
    inSpec: fc.record({
      priority: fc.integer({ min: 4, max: 6 }),
      name: fc.constantFrom("", "build", "build-2"),
      labels: fc.constantFrom<Record<string, string>>({}, { team: "x" }, { team: "y" }),
    }),
    rest: fc.record({
      kind: mostly("container", ["other"]),
      target: fc.constantFrom(...TARGETS),
      level,
      sealedEnv: maybe(fc.uint8Array({ maxLength: 3 })),
      requestHash: fc.constantFrom(...HASHES),
      idempotencyKey: seldom(fc.constantFrom(...KEYS)),
      createPhase,
      owner: fc.oneof(owner, owner, fc.constant(undefined)),
      dueAtMs: maybe(moment),
      cancelRequestedAtMs: seldom(moment),
    }),
  })
  .map(({ ref, status, age, deleteRequestedAtMs, inSpec, rest }) =>
    newJob({
      ...rest,
      ...ref,
      status,
      spec: { ...newJob().spec, ...inSpec },
      // No delete is ever left on an active job. Here one may stand beside a cancel, to see that the row is kept even so.
      deleteRequestedAtMs:
        isTerminal(status) || rest.cancelRequestedAtMs !== undefined ? deleteRequestedAtMs : undefined,
      // Two tenants never share an id, save here: so theirs differ in age, or the port would leave open which comes first.
      createdAtMs: TENANTS.length * age + TENANTS.indexOf(ref.tenantId),
    }),
  );
