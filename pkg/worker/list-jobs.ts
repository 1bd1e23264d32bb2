import type { MessageInitShape } from "@bufbuild/protobuf";
import type { HandlerContext } from "@connectrpc/connect";
import type { ListJobsRequest, ListJobsResponseSchema } from "#gen/jennah/v1/deployment_service_pb.js";
import type { Job } from "#pkg/job/index.ts";
import { callOf, encodePageToken, jobToProto, listQueryOf } from "#pkg/rpc/index.ts";
import type { JobPage, ListQuery } from "#pkg/store/index.ts";
import type { Api } from "./api.ts";
import { withWaitReason } from "./wait-reason.ts";

/** A page ends once it is this large, whatever was asked for: a thousand jobs of the largest kind would be a hundred MiB. */
const PAGE_BYTES = 2 * 1024 * 1024;

/** How many jobs are read at once, so that a page is not much larger than that when it ends. */
const STEP = 100;

export async function listJobs(
  api: Api,
  request: ListJobsRequest,
  context: HandlerContext,
): Promise<MessageInitShape<typeof ListJobsResponseSchema>> {
  const query = listQueryOf(request, callOf(context).tenantId, api.keyring);
  const { jobs, next } = await readPage(api, query);
  return {
    jobs: jobs.map((job) => jobToProto(withWaitReason(api, job))),
    nextPageToken: next === undefined ? "" : encodePageToken(api.keyring, query, next),
  };
}

/** Each step begins behind the one before; a short one has cost as much as a page may, so it is the last. */
async function readPage({ store }: Api, query: ListQuery): Promise<JobPage> {
  const jobs: Job[] = [];
  let bytes = 0;
  let { after } = query;
  for (;;) {
    const pageSize = Math.min(STEP, query.pageSize - jobs.length);
    const step = await store.listJobs({ ...query, pageSize, after });
    jobs.push(...step.jobs);
    bytes += step.jobs.reduce((sum, job) => sum + bytesOf(job), 0);
    after = step.next;
    const isFull = jobs.length === query.pageSize || bytes >= PAGE_BYTES;
    if (after === undefined || isFull || step.jobs.length < pageSize) return { jobs, next: after };
  }
}

/** About: what makes jobs large is their commands and labels. */
function bytesOf({ spec }: Job): number {
  const texts = [spec.entrypoint, ...spec.commands, ...spec.envNames, ...Object.entries(spec.labels).flat()];
  return texts.reduce((sum, each) => sum + each.length, 500);
}
