import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type JobEventSchema,
  type JobSchema,
  JobStatus as ProtoStatus,
  type ResourceOverrideSchema,
} from "#gen/jennah/v1/job_pb.js";
import type { Job, JobEvent, JobStatus, ResourceOverride } from "#pkg/job/index.ts";

const STATUSES: Readonly<Record<JobStatus, ProtoStatus>> = {
  PENDING: ProtoStatus.PENDING,
  RUNNING: ProtoStatus.RUNNING,
  COMPLETED: ProtoStatus.COMPLETED,
  FAILED: ProtoStatus.FAILED,
  CANCELLED: ProtoStatus.CANCELLED,
};

export function statusToProto(status: JobStatus): ProtoStatus {
  return STATUSES[status];
}

/** The domain's word for a status on the wire; undefined for the unspecified one and for numbers that are none. */
export function statusFromProto(status: ProtoStatus): JobStatus | undefined {
  return (Object.keys(STATUSES) as JobStatus[]).find((each) => STATUSES[each] === status);
}

/** A job as callers see it: everything but secrets and what only owners need. */
export function jobToProto(job: Job, events: readonly JobEvent[] = []): MessageInitShape<typeof JobSchema> {
  const { spec } = job;
  return {
    jobId: job.jobId,
    tenantId: job.tenantId,
    kind: job.kind,
    status: statusToProto(job.status),
    waitReason: job.waitReason ?? "",
    ...(job.error && { error: job.error }),
    attempt: job.attempt,
    owner: job.owner?.workerId ?? "",
    providerJobId: job.providerJobId ?? "",
    providerState: job.providerState ?? "",
    retryOf: job.retryOf ?? "",
    createdAt: timestampFromMs(job.createdAtMs),
    updatedAt: timestampFromMs(job.updatedAtMs),
    ...moment("startedAt", job.startedAtMs),
    ...moment("completedAt", job.completedAtMs),
    ...moment("cancelRequestedAt", job.cancelRequestedAtMs),
    imageUri: spec.imageUri,
    envNames: [...spec.envNames],
    name: spec.name,
    entrypoint: spec.entrypoint,
    commands: [...spec.commands],
    resourceProfile: spec.resourceProfile,
    ...(spec.resourceOverride && { resourceOverride: overrideToProto(spec.resourceOverride) }),
    machineType: spec.machineType,
    bootDiskSizeGb: spec.bootDiskSizeGb,
    useSpotVms: spec.useSpotVms,
    serviceAccount: spec.serviceAccount,
    maxRetries: spec.maxRetries,
    priority: spec.priority,
    labels: { ...spec.labels },
    target: job.target,
    ...moment("notBefore", spec.notBeforeMs),
    events: events.map(eventToProto),
  };
}

function overrideToProto(override: ResourceOverride): MessageInitShape<typeof ResourceOverrideSchema> {
  return { ...override };
}

function eventToProto(event: JobEvent): MessageInitShape<typeof JobEventSchema> {
  return {
    seq: event.seq,
    type: event.type,
    from: event.from === undefined ? ProtoStatus.JOB_STATUS_UNSPECIFIED : statusToProto(event.from),
    to: statusToProto(event.to),
    reason: event.reason,
    actor: event.actor,
    term: event.term,
    at: timestampFromMs(event.atMs),
  };
}

function moment<K extends string>(name: K, ms: number | undefined): { [P in K]?: Timestamp } {
  return (ms === undefined ? {} : { [name]: timestampFromMs(ms) }) as { [P in K]?: Timestamp };
}
