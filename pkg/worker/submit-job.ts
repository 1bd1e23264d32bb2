import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import {
  type SubmitJobRequest,
  SubmitJobRequestSchema,
  type SubmitJobResponseSchema,
} from "#gen/jennah/v1/deployment_service_pb.js";
import type { FieldViolation } from "#pkg/errors/index.ts";
import { checkServiceAccount, validateSpec } from "#pkg/job/index.ts";
import { canonicalRequest, repeatHeadersOf, specInputOf, statusToProto } from "#pkg/rpc/index.ts";
import { acceptJob, checkWithProvider } from "./accept-job.ts";
import type { Api } from "./api.ts";

export async function submitJob(
  api: Api,
  request: SubmitJobRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof SubmitJobResponseSchema>> {
  const { waitSeconds } = request;
  const repeat = repeatHeadersOf(context.requestHeader);
  const found = [...repeat.violations, ...waitViolations(waitSeconds)];
  const validated = validateSpec(specInputOf(request), api.clock.nowMs(), found);
  checkServiceAccount(validated.spec, api.allowedServiceAccounts);
  checkWithProvider(api, validated);
  if (request.validateOnly) return {};
  const canonical = canonicalRequest(SubmitJobRequestSchema, request);
  const job = await acceptJob(
    api,
    { ...validated, request: canonical, repeat, retryOf: undefined, waitSeconds },
    context,
  );
  return { jobId: job.jobId, status: statusToProto(job.status), workerAssigned: job.owner?.workerId ?? "" };
}

/** What is wrong with `wait_seconds`. */
export function waitViolations(waitSeconds: number | undefined): readonly FieldViolation[] {
  if (waitSeconds === undefined || waitSeconds >= 0) return [];
  return [{ field: "wait_seconds", description: "must be 0 or more" }];
}
