import { expect, test } from "vitest";
import { requestFor } from "#pkg/batch/conformance/harness.ts";
import type { JobSpec } from "#pkg/job/index.ts";
import { validateSpec } from "./validate.ts";

const MACHINE = { cpuMillis: 4000, memoryMib: 8192 };
const fieldsOf = (spec: Partial<JobSpec>) =>
  validateSpec(requestFor({ entrypoint: "/bin/true", commands: [] }, { spec }).spec, MACHINE).map(
    ({ field }) => field,
  );

test.each<[string, Partial<JobSpec>, string[]]>([
  ["a plain one", {}, []],
  ["commands alone", { entrypoint: "", commands: ["/bin/true"] }, []],
  ["neither entrypoint nor commands", { entrypoint: "" }, ["entrypoint"]],
  ["an empty program", { entrypoint: "", commands: [""] }, ["entrypoint"]],
  ["a program that a shell takes for an option", { entrypoint: "-c" }, ["entrypoint"]],
  ["an argument too long", { commands: ["a", "x".repeat(131_072)] }, ["commands[1]"]],
  ["the longest argument", { commands: ["x".repeat(131_071)] }, []],
  [
    "a GPU",
    { resourceOverride: { gpuCount: 1, gpuType: "l4" } },
    ["resource_override.gpu_count", "resource_override.gpu_type"],
  ],
  [
    "what the machine has",
    { resourceOverride: { cpuMillis: 4000, memoryMib: 8192, maxRunDurationSeconds: 9 } },
    [],
  ],
  [
    "more than the machine has",
    { resourceOverride: { cpuMillis: 4001, memoryMib: 8193 } },
    ["resource_override.cpu_millis", "resource_override.memory_mib"],
  ],
  ["a profile above the machine, which is not enforced", { resourceProfile: "xlarge" }, []],
  ["a machine type", { machineType: "n2" }, ["machine_type"]],
  ["a boot disk", { bootDiskSizeGb: 50 }, ["boot_disk_size_gb"]],
  ["spot machines", { useSpotVms: true }, ["use_spot_vms"]],
  ["a service account", { serviceAccount: "me" }, ["service_account"]],
  ["env names of the shell's", { envNames: ["OPTIND", "PATH", "UID"] }, ["env_vars"]],
  ["env names of this package's", { envNames: ["JENNAH_ENV_1"] }, ["env_vars"]],
  ["env names that only look so", { envNames: ["MY_UID", "OPTINDEX", "_X", "JENNAH"] }, []],
])("of %s it refuses exactly what it cannot honour", (_, spec, fields) => {
  expect(fieldsOf(spec)).toEqual(fields);
});

test("a job without a program is told what to give", () => {
  const { spec } = requestFor({ entrypoint: "", commands: [] });
  expect(validateSpec(spec, MACHINE)[0]?.description).toBe(
    "the local provider runs entrypoint and commands; give at least one",
  );
});
