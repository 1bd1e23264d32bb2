import { type JobSpec, type Resources, resourcesOf } from "#pkg/job/index.ts";
import { sizeOf } from "./machine-types.ts";

/** The profile of a job that names none; a spec does not tell the two apart. */
const DEFAULT_PROFILE = "medium";

/**
 * What of a machine one attempt asks for. Batch wants it to be no more than the machine has, and the default profile is nobody's
 * wish: on a machine that the job names it gives way to what that has. Every other figure stands, and `machineFault` looks at it.
 */
export function needOf(spec: JobSpec): Resources {
  const need = resourcesOf(spec);
  const machine = sizeOf(spec.machineType);
  if (machine === undefined || spec.resourceProfile !== DEFAULT_PROFILE) return need;
  const { cpuMillis, memoryMib } = spec.resourceOverride ?? {};
  return {
    ...need,
    cpuMillis: cpuMillis ?? Math.min(need.cpuMillis, machine.cpuMillis),
    memoryMib: memoryMib ?? Math.min(need.memoryMib, machine.memoryMib),
  };
}
