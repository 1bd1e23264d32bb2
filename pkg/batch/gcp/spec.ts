import type { CreateRequest } from "#pkg/batch/index.ts";
import { resourcesOf } from "#pkg/job/index.ts";
import type { BatchJob } from "./connection.ts";
import type { CloudEnvironment } from "./env.ts";
import { labelsOf } from "./labels.ts";
import { DEFAULT_GPU, smallestFor } from "./machine-types.ts";

/** What of a batch job is the deployment's, not the request's. */
export interface Surroundings {
  readonly region: string;
  /** Runs jobs that name none; "" leaves it to the project's default. */
  readonly serviceAccount: string;
}

/** One attempt of a job as a job of GCP Batch: one task group of one task of one container. The table stands in README.md. */
export function toBatchJob(
  request: CreateRequest,
  { variables, secretVariables }: CloudEnvironment,
  { region, serviceAccount }: Surroundings,
): BatchJob {
  const { spec } = request;
  const { cpuMillis, memoryMib, maxRunDurationSeconds } = resourcesOf(spec);
  const email = spec.serviceAccount || serviceAccount;
  return {
    priority: spec.priority,
    labels: { ...spec.labels, ...labelsOf(request) },
    logsPolicy: { destination: "CLOUD_LOGGING" },
    taskGroups: [
      {
        taskCount: 1,
        parallelism: 1,
        taskSpec: {
          runnables: [
            {
              ...(spec.name !== "" && { displayName: spec.name }),
              container: {
                imageUri: spec.imageUri,
                entrypoint: spec.entrypoint,
                commands: [...spec.commands],
              },
            },
          ],
          environment: { variables, secretVariables },
          computeResource: { cpuMilli: cpuMillis, memoryMib },
          maxRunDuration: { seconds: maxRunDurationSeconds },
          // Retries belong to Jennah: a second try of the cloud's own would be an attempt that nobody counted.
          maxRetryCount: 0,
        },
      },
    ],
    allocationPolicy: {
      location: { allowedLocations: [`regions/${region}`] },
      instances: [instanceOf(request)],
      ...(email !== "" && { serviceAccount: { email } }),
    },
  };
}

function instanceOf({ spec }: CreateRequest) {
  const need = resourcesOf(spec);
  const machineType = spec.machineType || smallestFor(need);
  const gpu = { type: need.gpuType || DEFAULT_GPU, count: need.gpuCount };
  return {
    installGpuDrivers: need.gpuCount > 0,
    policy: {
      ...(machineType !== undefined && { machineType }),
      provisioningModel: spec.useSpotVms ? ("SPOT" as const) : ("STANDARD" as const),
      ...(spec.bootDiskSizeGb > 0 && { bootDisk: { sizeGb: spec.bootDiskSizeGb } }),
      ...(need.gpuCount > 0 && { accelerators: [gpu] }),
    },
  };
}
