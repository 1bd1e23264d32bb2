import fc from "fast-check";
import { expect, test } from "vitest";
import { PROFILES } from "#pkg/job/index.ts";
import { GPU_TYPES, gpuCounts, smallestFor } from "./machine-types.ts";

const CPU = { gpuCount: 0, gpuType: "" };

test.each([
  ["small", "e2-highcpu-2"],
  ["medium", "e2-standard-2"],
  ["large", "e2-standard-4"],
  ["xlarge", "e2-standard-8"],
] as const)("the profile %s gets %s", (profile, machineType) => {
  expect(smallestFor(PROFILES[profile])).toBe(machineType);
});

test.each([
  [{ ...CPU, cpuMillis: 100, memoryMib: 16_384 }, "e2-highmem-2"],
  [{ ...CPU, cpuMillis: 33_000, memoryMib: 1_024 }, "n2-highcpu-48"],
  [{ ...CPU, cpuMillis: 128_000, memoryMib: 864 * 1024 }, "n2-highmem-128"],
  [{ ...CPU, cpuMillis: 128_001, memoryMib: 1 }, undefined],
  [{ ...CPU, cpuMillis: 1, memoryMib: 864 * 1024 + 1 }, undefined],
  [{ cpuMillis: 2_000, memoryMib: 4_096, gpuCount: 1, gpuType: "" }, "n1-standard-2"],
  [{ cpuMillis: 2_000, memoryMib: 4_096, gpuCount: 1, gpuType: "nvidia-l4" }, "g2-standard-4"],
  [{ cpuMillis: 2_000, memoryMib: 4_096, gpuCount: 3, gpuType: "nvidia-l4" }, undefined],
  [{ cpuMillis: 2_000, memoryMib: 4_096, gpuCount: 1, gpuType: "of-tomorrow" }, undefined],
])("%j gets %s", (need, machineType) => {
  expect(smallestFor(need)).toBe(machineType);
});

test("more of anything never gets a machine where less got none", () => {
  const amount = fc.integer({ min: 1, max: 200_000 });
  fc.assert(
    fc.property(amount, fc.integer({ min: 1, max: 1_000_000 }), amount, (cpuMillis, memoryMib, more) => {
      const some = smallestFor({ ...CPU, cpuMillis, memoryMib });
      const larger = smallestFor({ ...CPU, cpuMillis: cpuMillis + more, memoryMib: memoryMib + more });
      expect(some === undefined && larger !== undefined).toBe(false);
    }),
  );
});

test("every count of every GPU has a machine", () => {
  for (const gpuType of GPU_TYPES) {
    for (const gpuCount of gpuCounts(gpuType)) {
      expect(smallestFor({ cpuMillis: 1, memoryMib: 1, gpuCount, gpuType })).toBeDefined();
    }
  }
});
