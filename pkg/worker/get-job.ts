import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { GetJobRequest, GetJobResponseSchema } from "#gen/jennah/v1/deployment_service_pb.js";
import { jobToProto } from "#pkg/rpc/index.ts";
import { type Api, readJob, refOf } from "./api.ts";
import { withWaitReason } from "./wait-reason.ts";

export async function getJob(
  api: Api,
  request: GetJobRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof GetJobResponseSchema>> {
  const job = await readJob(api.store, refOf(request.jobId, context));
  const events = await api.store.listEvents(job);
  // Read after the job, they may tell of a change that it does not show yet; the answer is of one moment.
  return {
    job: jobToProto(
      withWaitReason(api, job),
      events.filter(({ seq }) => seq <= job.version),
    ),
  };
}
