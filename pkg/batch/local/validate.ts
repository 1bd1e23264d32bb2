import type { FieldViolation } from "#pkg/errors/index.ts";
import type { JobSpec } from "#pkg/job/index.ts";
import { argvOf } from "./create.ts";

/** What this machine has. */
export interface MachineSize {
  readonly cpuMillis: number;
  readonly memoryMib: number;
}

/** The longest single argument that Linux takes, without its NUL (MAX_ARG_STRLEN). */
const MAX_ARGUMENT_BYTES = 131_071;

/**
 * Names that one shell or another keeps to itself: it would change the value, drop it or refuse it (tried with dash,
 * busybox and bash). `JENNAH_` is this package's own.
 */
const SHELLS_OWN =
  /^(JENNAH_.*|BASH.*|_|OPTIND|PPID|LINENO|S?RANDOM|SECONDS|EPOCHSECONDS|EPOCHREALTIME|HISTCMD|E?UID|GROUPS|SHELLOPTS|DIRSTACK|FUNCNAME|PIPESTATUS)$/;

/** What of a spec cannot be honoured here. README.md says what each field means. */
export function validateSpec(spec: JobSpec, machine: MachineSize): readonly FieldViolation[] {
  const faults: FieldViolation[] = [];
  const refuse = (field: string, description: string) => faults.push({ field, description });
  const argv = argvOf(spec);
  const [program] = argv;

  if (program === undefined || program === "") {
    refuse("entrypoint", "the local provider runs entrypoint and commands; give at least one");
  } else if (program.startsWith("-")) {
    refuse(spec.entrypoint === "" ? "commands" : "entrypoint", "the program's name must not begin with -");
  }
  argv.forEach((argument, index) => {
    if (Buffer.byteLength(argument) <= MAX_ARGUMENT_BYTES) return;
    const position = spec.entrypoint === "" ? index : index - 1;
    refuse(
      position < 0 ? "entrypoint" : `commands[${position}]`,
      `is longer than ${MAX_ARGUMENT_BYTES} bytes, which this machine takes`,
    );
  });
  const owned = spec.envNames.filter((name) => SHELLS_OWN.test(name));
  if (owned.length > 0)
    refuse("env_vars", `${owned.join(", ")}: kept by the shell or by the local provider; use other names`);

  const override = spec.resourceOverride ?? {};
  if (override.gpuCount) refuse("resource_override.gpu_count", "the local provider has no GPUs to give");
  if (override.gpuType) refuse("resource_override.gpu_type", "the local provider has no GPUs to give");
  if ((override.cpuMillis ?? 0) > machine.cpuMillis) {
    refuse("resource_override.cpu_millis", `this machine has ${machine.cpuMillis}`);
  }
  if ((override.memoryMib ?? 0) > machine.memoryMib) {
    refuse("resource_override.memory_mib", `this machine has ${machine.memoryMib}`);
  }
  if (spec.machineType !== "") refuse("machine_type", "the local provider runs on this machine only");
  if (spec.bootDiskSizeGb !== 0) refuse("boot_disk_size_gb", "the local provider makes no disks");
  if (spec.useSpotVms) refuse("use_spot_vms", "the local provider has no spot machines");
  if (spec.serviceAccount !== "")
    refuse("service_account", "the local provider runs programs as the worker's own user");
  return faults;
}
