import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { ListJobsRequest, ListJobsResponseSchema } from "#gen/jennah/v1/deployment_service_pb.js";
import { callOf, encodePageToken, jobToProto, listQueryOf } from "#pkg/rpc/index.ts";
import type { Api } from "./api.ts";
import { withWaitReason } from "./wait-reason.ts";

export async function listJobs(
  api: Api,
  request: ListJobsRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof ListJobsResponseSchema>> {
  const query = listQueryOf(request, callOf(context).tenantId, api.keyring);
  const { jobs, next } = await api.store.listJobs(query);
  return {
    jobs: jobs.map((job) => jobToProto(withWaitReason(api, job))),
    nextPageToken: next === undefined ? "" : encodePageToken(api.keyring, query, next),
  };
}
