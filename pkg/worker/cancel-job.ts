import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { CancelJobRequest, CancelJobResponseSchema } from "#gen/jennah/v1/deployment_service_pb.js";
import { FailedPreconditionError } from "#pkg/errors/index.ts";
import { JobStatus } from "#pkg/job/index.ts";
import { callOf, statusToProto } from "#pkg/rpc/index.ts";
import { type Api, jobNotFound, refOf } from "./api.ts";

export async function cancelJob(
  api: Api,
  request: CancelJobRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof CancelJobResponseSchema>> {
  const ref = refOf(request.jobId, context);
  const by = { actor: api.workerId, atMs: api.clock.nowMs() };
  const result = await api.store.leaveRequest(ref, "cancel", by);
  if (result.kind === "missing" || result.job.deleteRequestedAtMs !== undefined) throw jobNotFound();
  const { job } = result;
  if (result.kind === "left") {
    if (result.first) callOf(context).log.info({ job_id: job.jobId }, "cancel requested");
    api.dispatcher.requested(job);
  } else if (job.status !== JobStatus.Cancelled) {
    throw new FailedPreconditionError("JOB_ENDED", `the job is ${job.status} and cannot be cancelled`);
  }
  return { jobId: job.jobId, status: statusToProto(job.status) };
}
