import type { SubmitJobRequest } from "#gen/jennah/v1/deployment_service_pb.js";
import type { ResourceOverride as ProtoOverride } from "#gen/jennah/v1/job_pb.js";
import type { ResourceOverride, SpecInput } from "#pkg/job/index.ts";
import { momentOf } from "./moments.ts";

/** The part of a submit that says what to run, in the domain's words and not validated yet. */
export function specInputOf(request: SubmitJobRequest): SpecInput {
  return {
    imageUri: request.imageUri,
    envVars: request.envVars,
    name: request.name,
    entrypoint: request.entrypoint,
    commands: request.commands,
    resourceProfile: request.resourceProfile,
    resourceOverride: request.resourceOverride && overrideOf(request.resourceOverride),
    machineType: request.machineType,
    bootDiskSizeGb: request.bootDiskSizeGb,
    useSpotVms: request.useSpotVms,
    serviceAccount: request.serviceAccount,
    maxRetries: request.maxRetries,
    priority: request.priority,
    labels: request.labels,
    target: request.target,
    notBeforeMs: momentOf(request.notBefore),
  };
}

/** Only what was set: an unset figure must not hide the profile's. */
function overrideOf(override: ProtoOverride): ResourceOverride {
  const { cpuMillis, memoryMib, maxRunDurationSeconds, gpuCount, gpuType } = override;
  return {
    ...(cpuMillis !== undefined && { cpuMillis }),
    ...(memoryMib !== undefined && { memoryMib }),
    ...(maxRunDurationSeconds !== undefined && { maxRunDurationSeconds }),
    ...(gpuCount !== undefined && { gpuCount }),
    ...(gpuType !== "" && { gpuType }),
  };
}
