import fc from "fast-check";
import type { JobRef, Owner } from "#pkg/job/index.ts";
import type { DeadTerms, JobUpdate } from "#pkg/store/index.ts";
import type { OperationName, StoreCore } from "./core.ts";
import * as part from "./random-parts.ts";

export interface Call {
  readonly name: OperationName;
  readonly args: readonly unknown[];
}

/** A call whose fence (a version, a beat, what is expected) is read from what is there when its turn comes. */
export interface Step {
  callOn(present: StoreCore): Call;
}

type Steps = {
  readonly [N in OperationName]: fc.Arbitrary<(present: StoreCore) => Parameters<StoreCore[N]>>;
};

const { maybe, mostly, moment, owner, ref, seldom, worker } = part;

/** What a fence names: mostly the row as it is, else off by one of its parts. */
const fence = fc.record({ ref, ahead: mostly(0, [-1, 1]), other: seldom(owner) });

function fenceOf(
  present: StoreCore,
  { ref, ahead, other }: { ref: JobRef; ahead: number; other?: Owner | undefined },
) {
  const [row] = present.getJobs([ref]);
  const named = other ?? row?.owner ?? { workerId: "w1", term: 1 };
  return { ...ref, version: (row?.version ?? 1) + ahead, owner: named, from: row?.status ?? "PENDING" };
}

/** A worker in its present term, mostly. */
const reign = fc.record({
  workerId: worker,
  other: seldom(part.term),
  instance: fc.constantFrom(...part.INSTANCES),
});

function reignOf(
  present: StoreCore,
  { workerId, other, instance }: { workerId: string; other?: number | undefined; instance: string },
) {
  const row = present.readWorkers().find((each) => each.workerId === workerId);
  return { row, owner: { workerId, term: other ?? row?.term ?? 1 }, instance };
}

const dead: fc.Arbitrary<DeadTerms> = fc.record({
  workerId: worker,
  afterTerm: fc.integer({ min: 0, max: 2 }),
  throughTerm: fc.integer({ min: 0, max: 4 }),
});

const page = fc.record({ owner, after: maybe(ref), limit: part.limit });

const update = fc.record({
  fence,
  from: seldom(part.status),
  changes: part.changes,
  event: maybe(part.event),
  atMs: moment,
});

/** A finished job whose delete was requested by now, and that somebody owns. */
function condemnedIn(present: StoreCore): JobRef | undefined {
  const refs = part.TENANTS.flatMap((tenantId) => part.JOB_IDS.map((jobId) => ({ tenantId, jobId })));
  const jobs = present.getJobs(refs);
  return jobs.find((job) => job.deleteRequestedAtMs !== undefined && job.owner !== undefined);
}

const STEPS: Steps = {
  ping: fc.constant(() => []),
  meta: fc.constant(() => []),
  setKeyFingerprint: fc
    .record({ expected: maybe(fc.constantFrom("f1", "f2")), next: fc.constantFrom("f1", "f2") })
    .map(({ expected, next }) => () => [expected, next]),
  insertJobs: fc.array(part.fresh, { minLength: 1, maxLength: 3 }).map((jobs) => () => [jobs]),
  updateJobs: fc.array(update, { minLength: 1, maxLength: 2 }).map((updates) => (present) => [
    updates.map(({ fence, from, ...rest }): JobUpdate => {
      const named = fenceOf(present, fence);
      return { ...named, from: from ?? named.from, ...rest };
    }),
  ]),
  leaveRequest: fc
    .record({ ref, kind: fc.constantFrom("cancel", "delete"), actor: worker, atMs: moment })
    .map(({ ref, kind, ...by }) => () => [ref, kind, by]),
  deleteJob: fc
    .record({
      fence,
      isCondemned: mostly(true, [false]),
      atMs: moment,
      tombstoneUntilMs: moment,
      keyUntilMs: moment,
    })
    .map(({ fence, isCondemned, ...rest }) => (present) => {
      const condemned = isCondemned ? condemnedIn(present) : undefined;
      const { from: _, ...named } = fenceOf(present, { ...fence, ref: condemned ?? fence.ref });
      return [{ ...named, ...rest }];
    }),
  getJobs: fc.array(ref, { maxLength: 4 }).map((refs) => () => [refs]),
  hasTombstone: ref.map((ref) => () => [ref]),
  findKey: fc.tuple(part.tenant, fc.constantFrom(...part.KEYS)).map((names) => () => names),
  listEvents: ref.map((ref) => () => [ref]),
  listJobs: fc
    .record({
      tenantId: part.tenant,
      filter: part.filter,
      pageSize: part.limit,
      after: maybe(fc.record({ createdAtMs: moment, jobId: part.jobId })),
    })
    .map((query) => () => [query]),
  lookUpJobs: fc.array(part.jobId, { maxLength: 4 }).map((ids) => () => [ids]),
  findRequests: page.map(({ owner, after, limit }) => () => [owner, after, limit]),
  findOwned: page.map(({ owner, after, limit }) => () => [owner, after, limit]),
  claimJobs: fc
    .record({
      claimer: owner,
      targets: fc.shuffledSubarray([...part.TARGETS]),
      level: part.level,
      dead: fc.uniqueArray(dead, { selector: (terms) => terms.workerId, maxLength: 3 }),
      livingTargets: fc.subarray([...part.TARGETS]),
      nowMs: moment,
      includeUnowned: fc.boolean(),
      limit: part.limit,
    })
    .map((request) => () => [request]),
  hasJobsOf: dead.map((terms) => () => [terms]),
  markEmptied: fc
    .record({ workerId: worker, throughTerm: fc.integer({ min: 0, max: 4 }) })
    .map(({ workerId, throughTerm }) => () => [workerId, throughTerm]),
  readWorkers: fc.constant(() => []),
  beginTerm: fc
    .record({
      reign,
      isFirst: mostly(false, [true]),
      wrong: seldom(
        fc.constantFrom({ term: 1 }, { term: 2 }, { instance: "i1" }, { over: true }, { over: false }),
      ),
      url: maybe(fc.constant("http://127.0.0.1:1")),
      targets: fc.subarray([...part.TARGETS]),
      capacity: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ reign, isFirst, wrong, ...described }) => (present) => {
      const { row, owner, instance } = reignOf(present, reign);
      const read = { term: row?.term ?? 1, instance: row?.instance ?? "i1", over: row?.over ?? true };
      const isNew = isFirst || (row === undefined && wrong === undefined);
      const expected = isNew ? undefined : { ...read, ...wrong };
      const rest = { version: "1.0.0", level: 1, kinds: ["container"], ...described };
      return [{ workerId: owner.workerId, instance, expected, ...rest }];
    }),
  renewTerm: fc
    .record({ reign, load: fc.integer({ min: 0, max: 3 }), draining: fc.boolean() })
    .map(({ reign, ...now }) => (present) => {
      const { owner, instance } = reignOf(present, reign);
      return [owner, instance, now];
    }),
  expireTerm: fc.record({ reign, ahead: mostly(0, [-1, 1]) }).map(({ reign, ahead }) => (present) => {
    const { owner, row } = reignOf(present, reign);
    return [owner, (row?.beat ?? 1) + ahead];
  }),
  endTerm: reign.map((reign) => (present) => {
    const { owner, instance } = reignOf(present, reign);
    return [owner, instance];
  }),
  purge: fc.record({ nowMs: moment, limit: part.limit }).map(({ nowMs, limit }) => () => [nowMs, limit]),
};

/** What makes and changes rows comes more often than what reads them. */
const WEIGHTS: { readonly [N in OperationName]?: number } = {
  insertJobs: 10,
  updateJobs: 10,
  leaveRequest: 6,
  deleteJob: 3,
  claimJobs: 8,
  purge: 2,
  beginTerm: 4,
  renewTerm: 2,
  expireTerm: 2,
  listJobs: 2,
};

function stepOf<N extends OperationName>(name: N): fc.Arbitrary<Step> {
  return STEPS[name].map((argsOn) => ({
    callOn: (present: StoreCore) => ({ name, args: argsOn(present) }),
    [fc.toStringMethod]: () => name,
  }));
}

const NAMES = Object.keys(STEPS) as OperationName[];

/** Without fast-check's liking for small values and short arrays, which would leave the tables all but empty. */
export const step: fc.Arbitrary<Step> = fc.noBias(
  fc.oneof(...NAMES.map((name) => ({ weight: WEIGHTS[name] ?? 1, arbitrary: stepOf(name) }))),
);
