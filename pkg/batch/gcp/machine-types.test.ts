import fc from "fast-check";
import { expect, test } from "vitest";
import { PROFILES } from "#pkg/job/index.ts";
import { GPU_TYPES, gpuCounts, machinesWith, ownGpusOf, sizeOf, smallestFor } from "./machine-types.ts";

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

// "GPU machine types" of Compute Engine: 48 vCPUs, 24, …; predefined N1 types go 1, 2, 4, 8, 16, 32, 64, 96.
test.each([
  ["nvidia-tesla-t4", 1, 32],
  ["nvidia-tesla-t4", 2, 32],
  ["nvidia-tesla-t4", 4, 96],
  ["nvidia-tesla-p4", 1, 16],
  ["nvidia-tesla-p4", 2, 32],
  ["nvidia-tesla-p4", 4, 96],
  ["nvidia-tesla-p100", 1, 16],
  ["nvidia-tesla-p100", 2, 32],
  ["nvidia-tesla-p100", 4, 96],
  ["nvidia-tesla-v100", 1, 8],
  ["nvidia-tesla-v100", 2, 16],
  ["nvidia-tesla-v100", 4, 32],
  ["nvidia-tesla-v100", 8, 96],
])("a machine that %s is attached to %i times has at most %i vCPUs", (gpuType, gpuCount, cpus) => {
  const need = { memoryMib: 1, gpuCount, gpuType };
  expect(smallestFor({ ...need, cpuMillis: cpus * 1000 })).toBe(`n1-standard-${cpus}`);
  expect(smallestFor({ ...need, cpuMillis: cpus * 1000 + 1 })).toBeUndefined();
});

test("each machine type of a kind of GPU that is not attached comes with as many", () => {
  for (const gpuType of GPU_TYPES) {
    for (const count of gpuCounts(gpuType)) {
      for (const { name } of machinesWith(gpuType, count)) {
        expect(ownGpusOf(name)).toEqual(name.startsWith("n1-") ? undefined : { type: gpuType, count });
      }
    }
  }
});

test.each([
  ["a3-megagpu-8g", { type: undefined, count: 8 }],
  ["a3-ultragpu-8g-nolssd", { type: undefined, count: 8 }],
  ["g4-standard-96", { type: undefined, count: undefined }],
  ["e2-standard-4", undefined],
])("%s comes with %j", (name, gpus) => {
  expect(ownGpusOf(name)).toEqual(gpus);
});

test.each([
  ["n1-standard-1", 1000, 3840],
  ["n1-highcpu-4", 4000, 3686],
  ["n2-standard-2", 2000, 8192],
  ["e2-small", 2000, 2048],
  ["g2-standard-8", 8000, 32_768],
])("%s has %i mCPU and %i MiB", (name, cpuMillis, memoryMib) => {
  expect(sizeOf(name)).toEqual({ name, cpuMillis, memoryMib });
});
