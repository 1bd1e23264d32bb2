import type { ListJobsRequest } from "#gen/jennah/v1/deployment_service_pb.js";
import { type FieldViolation, InvalidArgumentError } from "#pkg/errors/index.ts";
import { type Keyring, textFault } from "#pkg/job/index.ts";
import type { JobFilter, ListQuery } from "#pkg/store/index.ts";
import { statusFromProto } from "./job-to-proto.ts";
import { momentOf } from "./moments.ts";
import { decodePageToken } from "./page-token.ts";

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1000;
const STATUS_WORDS = "must be PENDING, RUNNING, COMPLETED, FAILED or CANCELLED";

/** What a list asks the store for. @throws InvalidArgumentError with every violation. */
export function listQueryOf(request: ListJobsRequest, tenantId: string, keyring: Keyring): ListQuery {
  const { pageSize = DEFAULT_PAGE_SIZE, pageToken } = request;
  const violations = violationsOf(request, pageSize);
  if (violations.length > 0) throw new InvalidArgumentError(violations);
  const filter = filterOf(request);
  const after = pageToken === "" ? undefined : decodePageToken(keyring, { tenantId, filter }, pageToken);
  return { tenantId, filter, pageSize, after };
}

function filterOf(request: ListJobsRequest): JobFilter {
  const statuses = request.status.map(statusFromProto).filter((status) => status !== undefined);
  return {
    statuses: [...new Set(statuses)],
    namePrefix: request.namePrefix,
    labels: request.labels,
    kind: request.kind,
    createdAfterMs: momentOf(request.createdAfter),
    createdBeforeMs: momentOf(request.createdBefore),
  };
}

function violationsOf(request: ListJobsRequest, pageSize: number): readonly FieldViolation[] {
  const faults: readonly (readonly [string, string | undefined])[] = [
    [
      "page_size",
      pageSize < 1 || pageSize > MAX_PAGE_SIZE ? `must be from 1 to ${MAX_PAGE_SIZE}` : undefined,
    ],
    ["page_token", textFault(request.pageToken)],
    ["status", request.status.some((each) => statusFromProto(each) === undefined) ? STATUS_WORDS : undefined],
    ["name_prefix", textFault(request.namePrefix)],
    ["labels", Object.entries(request.labels).flat().map(textFault).find(Boolean)],
    ["kind", textFault(request.kind)],
    ["created_after", momentFault(momentOf(request.createdAfter))],
    ["created_before", momentFault(momentOf(request.createdBefore))],
  ];
  return faults.flatMap(([field, description]) =>
    description === undefined ? [] : [{ field, description }],
  );
}

function momentFault(moment: number | undefined): string | undefined {
  return Number.isNaN(moment) ? "must be a moment from year 1 to 9999" : undefined;
}
