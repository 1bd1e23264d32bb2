import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type RetryJobRequest,
  RetryJobRequestSchema,
  type RetryJobResponseSchema,
} from "#gen/jennah/v1/deployment_service_pb.js";
import { FailedPreconditionError } from "#pkg/errors/index.ts";
import { checkServiceAccount, type Job, JobStatus } from "#pkg/job/index.ts";
import { canonicalRequest, repeatHeadersOf, requireNone, statusToProto } from "#pkg/rpc/index.ts";
import { acceptJob, checkWithProvider, firstJobOf } from "./accept-job.ts";
import { type Api, findJob, jobNotFound, refOf } from "./api.ts";
import { waitViolations } from "./submit-job.ts";

export async function retryJob(
  api: Api,
  request: RetryJobRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof RetryJobResponseSchema>> {
  const { waitSeconds } = request;
  const repeat = repeatHeadersOf(context.requestHeader);
  requireNone([...repeat.violations, ...waitViolations(waitSeconds)]);
  const canonical = canonicalRequest(RetryJobRequestSchema, request);
  const old = await findJob(api.store, refOf(request.jobId, context));
  if (old === undefined) {
    // A repeat is answered with the first job, also when the job that was retried is deleted by now.
    const first = await firstJobOf(api, { request: canonical, repeat }, context);
    if (first === undefined) throw jobNotFound();
    return answerOf(first);
  }
  requireRetryable(old);
  const { spec } = old;
  // What was allowed then may not be now.
  checkServiceAccount(spec, api.allowedServiceAccounts);
  checkWithProvider(api, { spec });
  const env = api.keyring.open(old, old);
  const job = await acceptJob(
    api,
    { spec, env, request: canonical, repeat, retryOf: old.jobId, waitSeconds },
    context,
  );
  return answerOf(job);
}

function answerOf(job: Job): MessageInitShape<typeof RetryJobResponseSchema> {
  return { jobId: job.jobId, status: statusToProto(job.status), workerAssigned: job.owner?.workerId ?? "" };
}

function requireRetryable({ status }: Job): void {
  if (status === JobStatus.Failed || status === JobStatus.Cancelled) return;
  throw new FailedPreconditionError(
    "JOB_NOT_RETRYABLE",
    `the job is ${status}; only a FAILED or CANCELLED one can be retried`,
  );
}
