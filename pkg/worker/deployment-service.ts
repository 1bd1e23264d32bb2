import type { ServiceImpl } from "@connectrpc/connect";
import type { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import type { Api } from "./api.ts";
import { cancelJob } from "./cancel-job.ts";
import { deleteJob } from "./delete-job.ts";
import { getJob } from "./get-job.ts";
import { listJobs } from "./list-jobs.ts";
import { retryJob } from "./retry-job.ts";
import { submitJob } from "./submit-job.ts";

/** @param api asked at each call, since it is only there once the worker has started; the gate keeps calls out before. */
export function createDeploymentService(api: () => Api): ServiceImpl<typeof DeploymentService> {
  return {
    submitJob: (request, context) => submitJob(api(), request, context),
    getJob: (request, context) => getJob(api(), request, context),
    listJobs: (request, context) => listJobs(api(), request, context),
    cancelJob: (request, context) => cancelJob(api(), request, context),
    deleteJob: (request, context) => deleteJob(api(), request, context),
    retryJob: (request, context) => retryJob(api(), request, context),
  };
}
