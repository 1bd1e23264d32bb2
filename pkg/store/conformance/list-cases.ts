import fc from "fast-check";
import { expect } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { type Job, JobStatus } from "#pkg/job/index.ts";
import type { JobFilter, PageCursor } from "#pkg/store/jobs.ts";
import { type Cases, START_MS, type World } from "./world.ts";

const ANY: JobFilter = {
  statuses: [],
  namePrefix: "",
  labels: {},
  kind: "",
  createdAfterMs: undefined,
  createdBeforeMs: undefined,
};

/** Every page from the first to the last; none longer than asked for, none empty without an end in sight. */
async function listAll(
  { store, tenant }: Pick<World, "store" | "tenant">,
  filter: Partial<JobFilter> = {},
  pageSize = 3,
): Promise<Job[]> {
  const jobs: Job[] = [];
  let after: PageCursor | undefined;
  do {
    const page = await store.listJobs({ tenantId: tenant, filter: { ...ANY, ...filter }, pageSize, after });
    expect(page.jobs.length).toBeLessThanOrEqual(pageSize);
    jobs.push(...page.jobs);
    after = page.next;
  } while (after !== undefined);
  return jobs;
}

const newestFirst = (a: Job, b: Job) => b.createdAtMs - a.createdAtMs || (a.jobId < b.jobId ? 1 : -1);

/** The filter, said as plainly as possible. */
function passes(job: Job, filter: JobFilter): boolean {
  return (
    (filter.statuses.length === 0 || filter.statuses.includes(job.status)) &&
    job.spec.name.startsWith(filter.namePrefix) &&
    Object.entries(filter.labels).every(([key, value]) => job.spec.labels[key] === value) &&
    (filter.kind === "" || job.kind === filter.kind) &&
    (filter.createdAfterMs === undefined || job.createdAtMs >= filter.createdAfterMs) &&
    (filter.createdBeforeMs === undefined || job.createdAtMs < filter.createdBeforeMs)
  );
}

/** Jobs that differ in all that can be filtered by; several share a moment. */
async function insertVariety(world: World, count: number): Promise<Job[]> {
  const statuses = Object.values(JobStatus);
  const names = ["", "build", "build-2", "100%", "a_b", "Build"];
  const fresh = Array.from({ length: count }, (_, index) => {
    const job = world.newJob({
      name: names[index % names.length] ?? "",
      status: statuses[(index * 7) % statuses.length] ?? "PENDING",
      kind: index % 4 === 0 ? "other" : "container",
      createdAtMs: START_MS + Math.floor(index / 3) * 10,
    });
    const labels: Record<string, string> = { team: index % 2 === 0 ? "a" : "b" };
    if (index % 3 === 0) labels.__proto__x = "1";
    return { ...job, spec: { ...job.spec, labels } };
  });
  const jobs: Job[] = [];
  const { maxGroup } = world.store.capabilities;
  for (let at = 0; at < fresh.length; at += maxGroup) {
    const results = await world.store.insertJobs(fresh.slice(at, at + maxGroup));
    for (const result of results) if (result.kind === "inserted") jobs.push(result.job);
  }
  return jobs.sort(newestFirst);
}

export const listCases: Cases = {
  "a tenant's jobs are listed newest first, then by id, and nobody else's": async (world) => {
    const jobs = await insertVariety(world, 20);
    await world.insert({ tenantId: world.worker("other") });
    expect(await listAll(world)).toEqual(jobs);
    expect(await listAll({ ...world, tenant: world.worker("nobody") })).toEqual([]);
  },

  "jobs whose delete was requested are not listed": async (world) => {
    const [kept, gone] = [await world.insert(), await world.insert({ status: "FAILED" })];
    await world.store.leaveRequest(gone, "delete", { actor: "x", atMs: START_MS });
    expect(await listAll(world)).toEqual([kept]);
  },

  "the last page says that it is the last": async (world) => {
    const jobs = await insertVariety(world, 6);
    const query = { tenantId: world.tenant, filter: ANY, pageSize: 6, after: undefined };
    expect(await world.store.listJobs(query)).toEqual({ jobs, next: undefined });
    const { next } = await world.store.listJobs({ ...query, pageSize: 5 });
    expect(next).toEqual({ createdAtMs: jobs[4]?.createdAtMs, jobId: jobs[4]?.jobId });
  },

  "a cursor keeps its place while jobs come and change": async (world) => {
    const jobs = await insertVariety(world, 9);
    const query = { tenantId: world.tenant, filter: ANY, pageSize: 4, after: undefined };
    const first = await world.store.listJobs(query);
    await world.insert({ createdAtMs: START_MS + 1_000_000 });
    const seen = first.jobs[1];
    if (seen !== undefined) await world.apply(seen, { providerState: "changed" });
    const rest = await world.store.listJobs({ ...query, pageSize: 100, after: first.next });
    expect([...first.jobs, ...rest.jobs]).toEqual(jobs);
  },

  "every filter, alone and together, passes what the plain reading passes": async (world) => {
    const jobs = await insertVariety(world, 60);
    const moment = fc.option(fc.integer({ min: START_MS - 10, max: START_MS + 220 }), { nil: undefined });
    const filters = fc.record({
      statuses: fc.subarray(Object.values(JobStatus)),
      namePrefix: fc.constantFrom("", "b", "build", "build-2", "100%", "a_", "%", "_", "Build"),
      labels: fc.constantFrom<Record<string, string>>(
        {},
        { team: "a" },
        { team: "b", __proto__x: "1" },
        { none: "" },
      ),
      kind: fc.constantFrom("", "container", "other", "unknown"),
      createdAfterMs: moment,
      createdBeforeMs: moment,
    });
    await fc.assert(
      fc.asyncProperty(filters, fc.integer({ min: 1, max: 70 }), async (filter, pageSize) => {
        const expected = jobs.filter((job) => passes(job, filter));
        expect(await listAll(world, filter, pageSize)).toEqual(expected);
      }),
      { numRuns: 60, seed: 4711 },
    );
  },

  "a filter that passes almost nothing still finds it, page by page": async (world) => {
    const needle = await world.insert({ name: "needle", createdAtMs: START_MS - 1 });
    await insertVariety(world, 1_200);
    expect(await listAll(world, { namePrefix: "needle" }, 1)).toEqual([needle]);
  },

  "a job whose status changes while lists are read is in each of them exactly once": async (world) => {
    const query = { tenantId: world.tenant, filter: ANY, pageSize: 10, after: undefined };
    let job = await world.insert();
    let isFlipping = true;
    const flips = (async () => {
      for (let flip = 0; flip < 300; flip++) {
        const status = job.status === "PENDING" ? "RUNNING" : "PENDING";
        const [result] = await world.peer.updateJobs([world.update(job, { status })]);
        if (result?.kind === "applied") job = result.job;
      }
    })().finally(() => {
      isFlipping = false;
    });
    while (isFlipping) {
      const { jobs } = await world.store.listJobs(query);
      expect(jobs.map(({ jobId }) => jobId)).toEqual([job.jobId]);
      // A store that reads without waiting would never let the other handle's answers in.
      await systemClock.yield();
    }
    await flips;
    expect(job.version).toBe(301);
  },

  "a list is current right after another handle's commit": async (world) => {
    for (let round = 0; round < 20; round++) {
      const [result] = await world.peer.insertJobs([world.newJob()]);
      const inserted = result?.kind === "inserted" ? result.job : undefined;
      const page = await world.store.listJobs({
        tenantId: world.tenant,
        filter: ANY,
        pageSize: 1,
        after: undefined,
      });
      expect(page.jobs).toEqual([inserted]);
    }
  },
};
