import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { DeleteJobRequest, DeleteJobResponseSchema } from "#gen/jennah/v1/deployment_service_pb.js";
import { FailedPreconditionError } from "#pkg/errors/index.ts";
import { callOf } from "#pkg/rpc/index.ts";
import { type Api, jobNotFound, refOf } from "./api.ts";

export async function deleteJob(
  api: Api,
  request: DeleteJobRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof DeleteJobResponseSchema>> {
  const ref = refOf(request.jobId, context);
  const by = { actor: api.workerId, atMs: api.clock.nowMs() };
  const result = await api.store.leaveRequest(ref, "delete", by);
  if (result.kind === "refused") {
    throw new FailedPreconditionError("JOB_ACTIVE", `the job is ${result.job.status}: cancel it first`);
  }
  if (result.kind === "missing") {
    // A repeat, after the owner has removed the row.
    if (!(await api.store.hasTombstone(ref))) throw jobNotFound();
    return { jobId: ref.jobId };
  }
  if (result.first) callOf(context).log.info({ job_id: ref.jobId }, "delete requested");
  api.dispatcher.requested(result.job);
  return { jobId: ref.jobId };
}
