import { expect, test } from "vitest";
import { requestFor } from "#pkg/batch/conformance/harness.ts";
import type { JobSpec } from "#pkg/job/index.ts";
import { validateSpec } from "./validate.ts";

const fieldsOf = (spec: Partial<JobSpec>) =>
  validateSpec(requestFor({ entrypoint: "", commands: [] }, { spec }).spec).map(({ field }) => field);
const labels = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, "v"]));

test.each<[string, Partial<JobSpec>, string[]]>([
  ["one that leaves all to the image", {}, []],
  [
    "everything that can be asked for",
    {
      name: "Any name: it's for people",
      machineType: "n1-standard-8",
      bootDiskSizeGb: 50,
      useSpotVms: true,
      serviceAccount: "runner@p-1.iam.gserviceaccount.com",
      resourceOverride: {
        cpuMillis: 8000,
        memoryMib: 30_000,
        maxRunDurationSeconds: 1_209_600,
        gpuCount: 2,
        gpuType: "nvidia-tesla-t4",
      },
      labels: { team: "größe_1", empty: "" },
      envNames: ["BATCH_SIZE", "_X"],
    },
    [],
  ],
  [
    "more than 14 days",
    { resourceOverride: { maxRunDurationSeconds: 1_209_601 } },
    ["resource_override.max_run_duration_seconds"],
  ],
  ["a disk too small", { bootDiskSizeGb: 9 }, ["boot_disk_size_gb"]],
  ["a service account that is no address", { serviceAccount: "runner" }, ["service_account"]],
  ["variables that Batch sets", { envNames: ["A", "BATCH_TASK_INDEX"] }, ["env_vars"]],
  ["a machine type that is no name", { machineType: "N2 Standard" }, ["machine_type"]],
  [
    "more CPU than any machine has",
    { resourceOverride: { cpuMillis: 200_000 } },
    ["resource_override.cpu_millis"],
  ],
  [
    "more memory than any machine has",
    { resourceOverride: { memoryMib: 1_000_000 } },
    ["resource_override.memory_mib"],
  ],
  [
    "as much on a machine that it names",
    { machineType: "m1-ultramem-160", resourceOverride: { memoryMib: 1_000_000 } },
    [],
  ],
  [
    "a GPU that nobody knows",
    { resourceOverride: { gpuCount: 1, gpuType: "of-tomorrow" } },
    ["resource_override.gpu_type"],
  ],
  [
    "the same on a machine that it names",
    { machineType: "a3-megagpu-8g", resourceOverride: { gpuCount: 8, gpuType: "of-tomorrow" } },
    [],
  ],
  [
    "a GPU in a count that it does not come in",
    { resourceOverride: { gpuCount: 3, gpuType: "nvidia-l4" } },
    ["resource_override.gpu_count"],
  ],
  [
    "a GPU on a machine that takes none",
    { machineType: "e2-standard-4", resourceOverride: { gpuCount: 1 } },
    ["resource_override.gpu_count"],
  ],
  [
    "a GPU that is no name",
    { machineType: "n1-standard-1", resourceOverride: { gpuCount: 1, gpuType: "T4" } },
    ["resource_override.gpu_type"],
  ],
  [
    "a GPU with more CPU than its machines have",
    { resourceOverride: { gpuCount: 1, gpuType: "nvidia-l4", cpuMillis: 64_000 } },
    ["resource_override.cpu_millis"],
  ],
  [
    "a GPU with more CPU than it goes with on N1",
    { resourceOverride: { gpuCount: 1, gpuType: "nvidia-tesla-v100", cpuMillis: 12_000 } },
    ["resource_override.cpu_millis"],
  ],
  [
    "a GPU with more memory than it goes with on N1",
    { resourceOverride: { gpuCount: 1, gpuType: "nvidia-tesla-p100", memoryMib: 120_000 } },
    ["resource_override.memory_mib"],
  ],
  [
    "a GPU on an N1 that is too large for it",
    { machineType: "n1-standard-64", resourceOverride: { gpuCount: 1 } },
    ["machine_type"],
  ],
  ["four of them on the same", { machineType: "n1-standard-64", resourceOverride: { gpuCount: 4 } }, []],
  [
    "a GPU on an N1 type that is not known here",
    { machineType: "n1-custom-12-79872", resourceOverride: { gpuCount: 1 } },
    [],
  ],
  [
    "a GPU in a count that N1 does not take",
    { machineType: "n1-standard-8", resourceOverride: { gpuCount: 3 } },
    ["resource_override.gpu_count"],
  ],
  [
    "a GPU on N1 that comes with machines of its own",
    { machineType: "n1-standard-8", resourceOverride: { gpuCount: 1, gpuType: "nvidia-l4" } },
    ["resource_override.gpu_type"],
  ],
  [
    "a GPU on N1 that is not known here",
    { machineType: "n1-standard-8", resourceOverride: { gpuCount: 1, gpuType: "nvidia-tesla-t4-vws" } },
    [],
  ],
  ["GPUs that come with it", { machineType: "g2-standard-24", resourceOverride: { gpuCount: 2 } }, []],
  [
    "more GPUs than come with it",
    { machineType: "g2-standard-8", resourceOverride: { gpuCount: 2 } },
    ["resource_override.gpu_count"],
  ],
  [
    "more GPUs than the name of a type says that is not known here",
    { machineType: "a4-highgpu-8g", resourceOverride: { gpuCount: 1 } },
    ["resource_override.gpu_count"],
  ],
  [
    "another GPU than comes with it",
    { machineType: "a2-highgpu-1g", resourceOverride: { gpuCount: 1, gpuType: "nvidia-tesla-t4" } },
    ["resource_override.gpu_type"],
  ],
  ["a small machine alone", { machineType: "e2-small", resourceProfile: "medium" }, []],
  [
    "a profile that its machine does not hold",
    { machineType: "n1-standard-1", resourceProfile: "xlarge" },
    ["resource_profile"],
  ],
  [
    "more CPU than its machine has",
    { machineType: "g2-standard-8", resourceOverride: { cpuMillis: 8001 } },
    ["resource_override.cpu_millis"],
  ],
  [
    "more memory than its machine has",
    { machineType: "e2-small", resourceOverride: { memoryMib: 4096 } },
    ["resource_override.memory_mib"],
  ],
  ["all of its machine", { machineType: "n1-standard-8", resourceOverride: { cpuMillis: 8000 } }, []],
  [
    "anything of a machine that is not known here",
    { machineType: "c4-standard-2", resourceProfile: "xlarge" },
    [],
  ],
  [
    "labels in upper case and with dots",
    { labels: { Team: "x", "a.b": "x", c: "X", d: "1.0" } },
    ["labels", "labels", "labels", "labels"],
  ],
  [
    "labels that are others'",
    { labels: { "goog-x": "", "google-x": "", "jennah-x": "" } },
    ["labels", "labels", "labels"],
  ],
  ["sixty labels", { labels: labels(60) }, []],
  ["more labels than there is room for", { labels: labels(61) }, ["labels"]],
])("of %s it refuses exactly what it cannot honour", (_, spec, fields) => {
  expect(fieldsOf(spec)).toEqual(fields);
});
