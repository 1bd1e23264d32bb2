import type { CreateRequest } from "#pkg/batch/index.ts";
import type { Resources } from "#pkg/job/index.ts";
import type { BatchJob } from "./connection.ts";
import type { CloudEnvironment } from "./env.ts";
import { labelsOf } from "./labels.ts";
import { DEFAULT_GPU, type OwnGpus, ownGpusOf, smallestFor } from "./machine-types.ts";
import { needOf } from "./need.ts";

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
  const { cpuMillis, memoryMib, maxRunDurationSeconds } = needOf(spec);
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
  const need = needOf(spec);
  const machineType = spec.machineType || smallestFor(need);
  const own = machineType === undefined ? undefined : ownGpusOf(machineType);
  const accelerators = acceleratorsOf(need, own);
  return {
    // Also where nobody asked for GPUs: a machine that comes with them is of no use without.
    installGpuDrivers: need.gpuCount > 0 || own !== undefined,
    policy: {
      ...(machineType !== undefined && { machineType }),
      provisioningModel: spec.useSpotVms ? ("SPOT" as const) : ("STANDARD" as const),
      ...(spec.bootDiskSizeGb > 0 && { bootDisk: { sizeGb: spec.bootDiskSizeGb } }),
      ...(accelerators.length > 0 && { accelerators }),
    },
  };
}

/** GPUs to be attached. A machine that comes with its own has them by its name alone; what it has is checked, here or there. */
function acceleratorsOf({ gpuCount: count, gpuType }: Resources, own: OwnGpus | undefined) {
  if (count === 0) return [];
  if (own === undefined) return [{ type: gpuType || DEFAULT_GPU, count }];
  return own.type === undefined && gpuType !== "" ? [{ type: gpuType, count }] : [];
}
