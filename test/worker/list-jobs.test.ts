import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { type Harness, startHarness } from "./harness.ts";

const OK = { image_uri: "alpine", entrypoint: "/bin/true" };
const iso = (ms: number) => timestampDate(timestampFromMs(ms)).toISOString();
const isoIn = (ms: number) => iso(systemClock.nowMs() + ms);

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness[Symbol.asyncDispose]());

describe("ListJobs", () => {
  const lister = { "X-Tenant-Id": "lister" };
  const ids: string[] = [];
  beforeAll(async () => {
    for (let i = 0; i < 7; i++) {
      const labels = { parity: i % 2 === 0 ? "even" : "odd" };
      ids.unshift((await harness.post("SubmitJob", { ...OK, name: `job-${i}`, labels }, lister)).body.job_id);
    }
  });

  it("pages through all of a tenant's jobs, newest first, each once", async () => {
    const seen: string[] = [];
    let page_token = "";
    do {
      const { body } = await harness.post("ListJobs", { page_size: 3, page_token }, lister);
      seen.push(...(body.jobs ?? []).map((job: { job_id: string }) => job.job_id));
      page_token = body.next_page_token ?? "";
    } while (page_token !== "");
    expect(seen).toEqual(ids);
  });

  it.each([
    [{ name_prefix: "job-3" }, 1],
    [{ labels: { parity: "odd" } }, 3],
    [{ labels: { parity: "odd", other: "x" } }, 0],
    [{ status: ["PENDING", "RUNNING"] }, 7],
    [{ status: ["FAILED"] }, 0],
    [{ kind: "container" }, 7],
    [{ kind: "other" }, 0],
    [{ created_after: isoIn(3_600_000) }, 0],
    [{ created_before: isoIn(3_600_000) }, 7],
  ])("%j finds %i", async (filter, count) => {
    const { jobs = [] } = (await harness.post("ListJobs", filter, lister)).body;
    expect(jobs).toHaveLength(count);
    expect(jobs.flatMap((job: { events?: unknown[] }) => job.events ?? [])).toEqual([]);
  });

  it("a page of large jobs ends before it is large, and the next goes on behind it", async () => {
    const large = { "X-Tenant-Id": "large" };
    const commands = ["-c", "true", "x".repeat(60_000)];
    for (let i = 0; i < 250; i++)
      await harness.post("SubmitJob", { ...OK, commands, not_before: isoIn(3_600_000) }, large);
    const seen = new Set<string>();
    let pages = 0;
    let page_token = "";
    do {
      const { body } = await harness.post("ListJobs", { page_size: 1_000, page_token }, large);
      for (const { job_id } of body.jobs) seen.add(job_id);
      pages += 1;
      page_token = body.next_page_token ?? "";
    } while (page_token !== "");
    expect(pages).toBeGreaterThan(1);
    expect(seen.size).toBe(250);
  });

  it("a tenant that never submitted gets an empty page", async () => {
    expect((await harness.post("ListJobs", {}, { "X-Tenant-Id": "nobody" })).body).toEqual({});
  });

  it.each([
    { page_size: 0 },
    { page_size: 1001 },
    { status: ["JOB_STATUS_UNSPECIFIED"] },
    { status: [17] },
    { name_prefix: "\0" },
  ])("%j is refused", async (request) => {
    expect((await harness.post("ListJobs", request, lister)).body.code).toBe("invalid_argument");
  });

  it("a page token is good for its own tenant and filters alone, and cannot be forged", async () => {
    const { next_page_token } = (await harness.post("ListJobs", { page_size: 2, name_prefix: "job" }, lister))
      .body;
    const use = async (request: object, headers = lister) =>
      (await harness.post("ListJobs", { page_token: next_page_token, ...request }, headers)).body;
    expect((await use({ name_prefix: "job", page_size: 5 })).jobs).toHaveLength(5);
    const altered = (next_page_token[0] === "A" ? "B" : "A") + next_page_token.slice(1);
    for (const body of [
      await use({}),
      await use({ name_prefix: "job", labels: { a: "b" } }),
      await use({ name_prefix: "job" }, { "X-Tenant-Id": "other" }),
      await use({ name_prefix: "job", page_token: altered }),
      await use({ name_prefix: "job", page_token: `${next_page_token}A` }),
      await use({ name_prefix: "job", page_token: "nonsense" }),
    ]) {
      expect(body.code).toBe("invalid_argument");
      expect(body.message).toContain("page_token");
    }
  });
});
