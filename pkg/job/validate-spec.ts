import { type FieldViolation, InvalidArgumentError, PermissionDeniedError } from "#pkg/errors/index.ts";
import { type JobSpec, PROFILES, type ProfileName, type ResourceOverride } from "./spec.ts";
import { imageFault } from "./validate-image.ts";
import { targetFault } from "./validate-target.ts";
import { lengthInCharacters, quoted, textFault } from "./validate-text.ts";

/** Upper bounds that no cloud of today goes beyond, there so that a row stays a row. Both ends are included. */
export const SPEC_LIMITS = {
  nameCharacters: 63,
  entrypointBytes: 4096,
  commands: 1024,
  /** `entrypoint` and `commands` together. */
  commandLineBytes: 64 * 1024,
  envVars: 256,
  envBytes: 32 * 1024,
  labels: 64,
  labelKeyCharacters: 63,
  labelValueCharacters: 255,
  /** `machine_type`, `gpu_type`. */
  wordCharacters: 255,
  serviceAccountCharacters: 2048,
  bootDiskSizeGb: 65_536,
  cpuMillis: 1_000_000,
  memoryMib: 33_554_432,
  maxRunDurationSeconds: 31_536_000,
  gpuCount: 64,
  maxRetries: 10,
  priority: 10,
  /** How far ahead `not_before` may lie. */
  notBeforeMs: 366 * 24 * 3600 * 1000,
} as const;

const DEFAULT_PROFILE: ProfileName = "medium";
const DEFAULT_PRIORITY = 5;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A spec as a caller wrote it: `""`, 0 and undefined mean "not given". Numbers are whole. */
export interface SpecInput {
  readonly imageUri: string;
  readonly envVars: Readonly<Record<string, string>>;
  readonly name: string;
  readonly entrypoint: string;
  readonly commands: readonly string[];
  readonly resourceProfile: string;
  readonly resourceOverride: ResourceOverride | undefined;
  readonly machineType: string;
  readonly bootDiskSizeGb: number;
  readonly useSpotVms: boolean;
  readonly serviceAccount: string;
  readonly maxRetries: number;
  readonly priority: number | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly target: string;
  /** Epoch milliseconds; NaN stands for a moment that is none. */
  readonly notBeforeMs: number | undefined;
}

/** A spec that passed, and the secrets that came with it. */
export interface ValidatedSpec {
  readonly spec: JobSpec;
  readonly env: Readonly<Record<string, string>>;
}

type Report = (field: string, fault: string | undefined) => void;

/**
 * Checks what a caller asked for and fills in the defaults.
 * @param found violations of what came beside the spec, to be told together with its own.
 * @throws InvalidArgumentError with every violation; none shows a value of `env_vars`.
 */
export function validateSpec(
  input: SpecInput,
  nowMs: number,
  found: readonly FieldViolation[] = [],
): ValidatedSpec {
  const violations: FieldViolation[] = [...found];
  const report: Report = (field, description) => {
    if (description !== undefined) violations.push({ field, description });
  };
  report("image_uri", textFault(input.imageUri) ?? imageFault(input.imageUri));
  report("name", textFault(input.name) ?? tooLong(input.name, SPEC_LIMITS.nameCharacters));
  checkCommandLine(input, report);
  checkEnv(input.envVars, report);
  checkResources(input, report);
  report("machine_type", wordFault(input.machineType, SPEC_LIMITS.wordCharacters));
  report("boot_disk_size_gb", outOfRange(input.bootDiskSizeGb, 0, SPEC_LIMITS.bootDiskSizeGb));
  report("service_account", wordFault(input.serviceAccount, SPEC_LIMITS.serviceAccountCharacters));
  report("max_retries", outOfRange(input.maxRetries, 0, SPEC_LIMITS.maxRetries));
  report("priority", outOfRange(input.priority, 0, SPEC_LIMITS.priority));
  checkLabels(input.labels, report);
  if (input.target !== "") report("target", textFault(input.target) ?? targetFault(input.target));
  report("not_before", notBeforeFault(input.notBeforeMs, nowMs));
  if (violations.length > 0) throw new InvalidArgumentError(violations);
  return { spec: toSpec(input), env: input.envVars };
}

/**
 * @param allowed what this deployment lets a job name; a job that names none is always allowed.
 * @throws PermissionDeniedError
 */
export function checkServiceAccount(spec: Pick<JobSpec, "serviceAccount">, allowed: readonly string[]): void {
  if (spec.serviceAccount === "" || allowed.includes(spec.serviceAccount)) return;
  throw new PermissionDeniedError(
    "SERVICE_ACCOUNT_NOT_ALLOWED",
    `service_account: this deployment does not allow ${quoted(spec.serviceAccount)}`,
  );
}

function checkCommandLine({ entrypoint, commands }: SpecInput, report: Report): void {
  const { entrypointBytes, commandLineBytes } = SPEC_LIMITS;
  const entrypointSize = Buffer.byteLength(entrypoint);
  report("entrypoint", textFault(entrypoint));
  if (entrypointSize > entrypointBytes) report("entrypoint", `must be at most ${entrypointBytes} bytes`);
  for (const [index, command] of commands.entries()) report(`commands[${index}]`, textFault(command));
  if (commands.length > SPEC_LIMITS.commands) {
    report("commands", `must be at most ${SPEC_LIMITS.commands} arguments`);
  }
  const size = commands.reduce((sum, command) => sum + Buffer.byteLength(command), entrypointSize);
  if (size > commandLineBytes)
    report("commands", `must be at most ${commandLineBytes} bytes, entrypoint included`);
}

function checkEnv(env: Readonly<Record<string, string>>, report: Report): void {
  const entries = Object.entries(env);
  let size = 0;
  for (const [name, value] of entries) {
    size += Buffer.byteLength(name) + Buffer.byteLength(value);
    if (!ENV_NAME.test(name)) {
      report(
        "env_vars",
        `the name ${quoted(name)} must be letters, digits and _, not beginning with a digit`,
      );
    }
    const fault = textFault(value);
    if (fault !== undefined) report("env_vars", `the value of ${quoted(name)} ${fault}`);
  }
  if (entries.length > SPEC_LIMITS.envVars)
    report("env_vars", `must be at most ${SPEC_LIMITS.envVars} variables`);
  if (size > SPEC_LIMITS.envBytes) {
    report("env_vars", `must be at most ${SPEC_LIMITS.envBytes} bytes, names and values together`);
  }
}

function checkResources({ resourceProfile, resourceOverride = {} }: SpecInput, report: Report): void {
  if (resourceProfile !== "" && !isProfile(resourceProfile)) {
    report("resource_profile", `must be one of ${Object.keys(PROFILES).join(", ")}`);
  }
  const { cpuMillis, memoryMib, maxRunDurationSeconds, gpuCount, gpuType = "" } = resourceOverride;
  const field = (name: string) => `resource_override.${name}`;
  report(field("cpu_millis"), outOfRange(cpuMillis, 1, SPEC_LIMITS.cpuMillis));
  report(field("memory_mib"), outOfRange(memoryMib, 1, SPEC_LIMITS.memoryMib));
  report(
    field("max_run_duration_seconds"),
    outOfRange(maxRunDurationSeconds, 1, SPEC_LIMITS.maxRunDurationSeconds),
  );
  report(field("gpu_count"), outOfRange(gpuCount, 0, SPEC_LIMITS.gpuCount));
  report(field("gpu_type"), wordFault(gpuType, SPEC_LIMITS.wordCharacters));
  // No profile of today has a GPU, so a kind without a count would be dropped in silence.
  if (gpuType !== "" && (gpuCount ?? 0) === 0) report(field("gpu_type"), "needs a gpu_count of at least 1");
}

function checkLabels(labels: Readonly<Record<string, string>>, report: Report): void {
  const entries = Object.entries(labels);
  if (entries.length > SPEC_LIMITS.labels) report("labels", `must be at most ${SPEC_LIMITS.labels} labels`);
  for (const [key, value] of entries) {
    const keyFault =
      textFault(key) ?? (key === "" ? "must not be empty" : tooLong(key, SPEC_LIMITS.labelKeyCharacters));
    if (keyFault !== undefined) report("labels", `the key ${quoted(key)} ${keyFault}`);
    const valueFault = textFault(value) ?? tooLong(value, SPEC_LIMITS.labelValueCharacters);
    if (valueFault !== undefined) report("labels", `the value of ${quoted(key)} ${valueFault}`);
  }
}

function notBeforeFault(notBeforeMs: number | undefined, nowMs: number): string | undefined {
  if (Number.isNaN(notBeforeMs)) return "must be a moment from year 1 to 9999";
  if (notBeforeMs === undefined || notBeforeMs - nowMs <= SPEC_LIMITS.notBeforeMs) return undefined;
  return "must be at most 366 days ahead";
}

/** Words of a provider's: no white space or control character has a place in them. */
function wordFault(word: string, maxCharacters: number): string | undefined {
  const fault = textFault(word) ?? tooLong(word, maxCharacters);
  return (
    fault ?? (/[\s\p{Cc}]/u.test(word) ? "must not contain white space or control characters" : undefined)
  );
}

function tooLong(text: string, maxCharacters: number): string | undefined {
  // The first look spares counting a text that is too long by any count.
  const isLong = text.length > 2 * maxCharacters || lengthInCharacters(text) > maxCharacters;
  return isLong ? `must be at most ${maxCharacters} characters` : undefined;
}

function outOfRange(value: number | undefined, min: number, max: number): string | undefined {
  if (value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max)) return undefined;
  return `must be from ${min} to ${max}`;
}

function isProfile(name: string): name is ProfileName {
  return Object.hasOwn(PROFILES, name);
}

function toSpec(input: SpecInput): JobSpec {
  return {
    imageUri: input.imageUri,
    entrypoint: input.entrypoint,
    commands: input.commands,
    envNames: Object.keys(input.envVars).sort(),
    name: input.name,
    resourceProfile: isProfile(input.resourceProfile) ? input.resourceProfile : DEFAULT_PROFILE,
    ...(input.resourceOverride && { resourceOverride: input.resourceOverride }),
    machineType: input.machineType,
    bootDiskSizeGb: input.bootDiskSizeGb,
    useSpotVms: input.useSpotVms,
    serviceAccount: input.serviceAccount,
    maxRetries: input.maxRetries,
    priority: input.priority ?? DEFAULT_PRIORITY,
    labels: input.labels,
    requestedTarget: input.target,
    ...(input.notBeforeMs !== undefined && { notBeforeMs: input.notBeforeMs }),
  };
}
