import type { FieldViolation } from "#pkg/errors/index.ts";
import type { JobSpec, Resources } from "#pkg/job/index.ts";
import {
  DEFAULT_GPU,
  GPU_TYPES,
  gpuCounts,
  machinesWith,
  type Need,
  ownGpusOf,
  sizeOf,
  smallestFor,
} from "./machine-types.ts";
import { needOf } from "./need.ts";

const MACHINE_TYPE = /^[a-z][a-z0-9-]{0,62}$/;
const GPU_TYPE = /^[a-z][a-z0-9-]{0,62}$/;
/** The family that GPUs are attached to. */
const TAKES_GPUS = /^n1-/;

/** Why there is no machine for a spec; undefined when there is one, whether named or to be chosen. */
export function machineFault(spec: JobSpec): FieldViolation | undefined {
  const need = needOf(spec);
  if (spec.machineType !== "" && !MACHINE_TYPE.test(spec.machineType)) {
    return fault("machine_type", "must be the name of a machine type, such as e2-standard-4");
  }
  if (need.gpuCount > 0 && !GPU_TYPE.test(need.gpuType || DEFAULT_GPU)) {
    return fault("resource_override.gpu_type", "must be the name of a GPU, such as nvidia-tesla-t4");
  }
  if (spec.machineType === "") return choiceFault(need);
  return (need.gpuCount > 0 ? namedGpuFault(spec.machineType, need) : undefined) ?? sizeFault(spec, need);
}

/** Where the machine type is to be chosen, there must be one. */
function choiceFault(need: Need): FieldViolation | undefined {
  if (need.gpuCount === 0) return fitFault(need, "no general-purpose machine type");
  const gpuType = need.gpuType || DEFAULT_GPU;
  if (gpuCounts(gpuType).length === 0) {
    return fault(
      "resource_override.gpu_type",
      `must be one of ${GPU_TYPES.join(", ")}, or machine_type must say where it is`,
    );
  }
  return countFault(gpuType, need) ?? fitFault(need, `no machine type with ${need.gpuCount} of ${gpuType}`);
}

function countFault(gpuType: string, { gpuCount }: Need): FieldViolation | undefined {
  const counts = gpuCounts(gpuType);
  if (counts.includes(gpuCount)) return undefined;
  return fault("resource_override.gpu_count", `${gpuType} comes in ${counts.join(", ")}`);
}

function fitFault(need: Need, none: string): FieldViolation | undefined {
  if (smallestFor(need) !== undefined) return undefined;
  const isCpu = smallestFor({ ...need, cpuMillis: 0 }) !== undefined;
  return fault(
    isCpu ? "resource_override.cpu_millis" : "resource_override.memory_mib",
    `${none} has ${need.cpuMillis} mCPU and ${need.memoryMib} MiB; name one in machine_type`,
  );
}

/** Whether the machine type that a job names has the GPUs that it asks for, or can be given them. */
function namedGpuFault(name: string, need: Need): FieldViolation | undefined {
  const own = ownGpusOf(name);
  if (own !== undefined) {
    if (own.count !== undefined && own.count !== need.gpuCount) {
      return fault("resource_override.gpu_count", `${name} comes with ${own.count}`);
    }
    if (own.type !== undefined && need.gpuType !== "" && own.type !== need.gpuType) {
      return fault("resource_override.gpu_type", `${name} comes with ${own.type}`);
    }
    return undefined;
  }
  if (!TAKES_GPUS.test(name)) {
    return fault("resource_override.gpu_count", `GPUs cannot be attached to ${name}; n1 types take them`);
  }
  const gpuType = need.gpuType || DEFAULT_GPU;
  // A kind that is not known here is for the cloud to judge.
  if (gpuCounts(gpuType).length === 0) return undefined;
  const takers = machinesWith(gpuType, need.gpuCount);
  const [first] = takers;
  if (first === undefined) return countFault(gpuType, need);
  if (!TAKES_GPUS.test(first.name)) {
    return fault("resource_override.gpu_type", `${gpuType} comes with machines such as ${first.name} alone`);
  }
  const most = Math.max(...takers.map(({ cpuMillis }) => cpuMillis));
  if ((sizeOf(name)?.cpuMillis ?? 0) <= most) return undefined;
  return fault(
    "machine_type",
    `${name} is too large for ${need.gpuCount} of ${gpuType}; n1 types with up to ${most / 1000} vCPUs take them`,
  );
}

/** Whether the machine type that a job names has what is asked of it; one that is not known here is for the cloud to judge. */
function sizeFault(spec: JobSpec, need: Resources): FieldViolation | undefined {
  const machine = sizeOf(spec.machineType);
  if (machine === undefined) return undefined;
  const isCpu = need.cpuMillis > machine.cpuMillis;
  if (!isCpu && need.memoryMib <= machine.memoryMib) return undefined;
  const field = isCpu ? "cpu_millis" : "memory_mib";
  const isOverride = spec.resourceOverride?.[isCpu ? "cpuMillis" : "memoryMib"] !== undefined;
  return fault(
    isOverride ? `resource_override.${field}` : "resource_profile",
    `${machine.name} has ${machine.cpuMillis} mCPU and ${machine.memoryMib} MiB, less than the ${need.cpuMillis} mCPU and ${need.memoryMib} MiB asked for`,
  );
}

function fault(field: string, description: string): FieldViolation {
  return { field, description };
}
