import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createSeededEntropy } from "#pkg/clock/index.ts";
import {
  batchJobIdOf,
  createJobId,
  isActive,
  isJobId,
  isTerminal,
  JobStatus,
  mayBecome,
  parseBatchJobId,
  resourcesOf,
  tenantIdFault,
} from "./index.ts";

describe("the table of transitions", () => {
  const { Pending, Running, Completed, Failed, Cancelled } = JobStatus;
  const legal = new Set([
    `${Pending}>${Running}`,
    `${Pending}>${Completed}`,
    `${Pending}>${Failed}`,
    `${Pending}>${Cancelled}`,
    `${Running}>${Pending}`,
    `${Running}>${Completed}`,
    `${Running}>${Failed}`,
    `${Running}>${Cancelled}`,
  ]);
  for (const from of Object.values(JobStatus)) {
    for (const to of Object.values(JobStatus)) {
      const allowed = from === to || legal.has(`${from}>${to}`);
      it(`${from} ${allowed ? "may" : "may not"} become ${to}`, () => {
        expect(mayBecome(from, to)).toBe(allowed);
      });
    }
  }

  it("three statuses are terminal, two are active", () => {
    expect(Object.values(JobStatus).filter(isTerminal)).toEqual([Completed, Failed, Cancelled]);
    expect(Object.values(JobStatus).filter(isActive)).toEqual([Pending, Running]);
  });
});

describe("ids", () => {
  it("a job id is a UUIDv7 of its moment, and later moments sort later", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 47 }), fc.integer(), (nowMs, seed) => {
        const id = createJobId({ nowMs: () => nowMs }, createSeededEntropy(seed));
        expect(isJobId(id)).toBe(true);
        expect(Number.parseInt(id.replaceAll("-", "").slice(0, 12), 16)).toBe(nowMs);
        const later = createJobId({ nowMs: () => nowMs + 1 }, createSeededEntropy(seed + 1));
        expect(later > id).toBe(true);
      }),
    );
  });

  it("a batch job id is at most 50 characters, valid on every cloud, and tells its job and attempt", () => {
    fc.assert(
      fc.property(
        fc.uuid(),
        fc.uuid({ version: 7 }),
        fc.integer({ min: 1, max: 999 }),
        (deployment, job, attempt) => {
          const id = batchJobIdOf(deployment, job, attempt);
          expect(id).toMatch(/^[a-z][a-z0-9-]{0,49}$/);
          expect(parseBatchJobId(deployment, id)).toEqual({ jobId: job, attempt });
          const other = `${deployment.startsWith("a") ? "b" : "a"}${deployment.slice(1)}`;
          expect(parseBatchJobId(other, id)).toBeUndefined();
        },
      ),
    );
  });
});

describe("resources", () => {
  it("an override replaces single figures of the profile", () => {
    expect(resourcesOf({ resourceProfile: "small", resourceOverride: { memoryMib: 100 } })).toEqual({
      cpuMillis: 1000,
      memoryMib: 100,
      maxRunDurationSeconds: 1800,
      gpuCount: 0,
      gpuType: "",
    });
  });
});

describe("tenant ids", () => {
  it.each(["a", "A-b_c.9", "0", "x".repeat(64), "__proto__".slice(2)])("%j is one", (id) => {
    expect(tenantIdFault(id)).toBeUndefined();
  });
  it.each([".a", "-a", "_a", "x".repeat(65), "a b", "a/b", "ä", "a\n", "__proto__"])("%j is none", (id) => {
    expect(tenantIdFault(id)?.reason).toBe("INVALID_ARGUMENT");
  });
  it.each([undefined, null, ""])("%j names nobody", (id) => {
    expect(tenantIdFault(id)?.reason).toBe("TENANT_REQUIRED");
  });
});
