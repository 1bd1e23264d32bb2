import { createHash } from "node:crypto";
import type { CreateRequest } from "#pkg/batch/index.ts";

/** What our labels begin with; a caller's may not. */
export const LABEL_PREFIX = "jennah-";

export const Label = {
  Deployment: "jennah-deployment",
  Job: "jennah-job",
  Attempt: "jennah-attempt",
  Tenant: "jennah-tenant",
} as const;

type Labels = Readonly<Record<string, string>>;
type Whose = Pick<CreateRequest, "deploymentId" | "tenantId">;

/** What a batch job of ours is known by. The ids are UUIDs in lower case, which labels take as they are. */
export function labelsOf(request: Whose & Pick<CreateRequest, "jobId" | "attempt">): Labels {
  return {
    [Label.Deployment]: request.deploymentId,
    [Label.Job]: request.jobId,
    [Label.Attempt]: String(request.attempt),
    [Label.Tenant]: tenantLabel(request),
  };
}

/** Labels allow no upper case and no dots, and whoever lists jobs need not read who the tenants are; so a hash. */
function tenantLabel({ deploymentId, tenantId }: Whose): string {
  return createHash("sha256").update(`${deploymentId}/${tenantId}`).digest("hex").slice(0, 32);
}

/** Whether a batch job is of this deployment and tenant. */
export function isOf(labels: Labels | null | undefined, whose: Whose): boolean {
  return labels?.[Label.Deployment] === whose.deploymentId && labels[Label.Tenant] === tenantLabel(whose);
}

/**
 * A filter for the batch jobs of some jobs; undefined when none of the ids is a batch job id. It goes by label because the
 * label filters of `ListJobs` are what others rely on, while a filter by name is documented nowhere.
 */
export function filterOfJobs(batchJobIds: readonly string[]): string | undefined {
  const jobIds = new Set(batchJobIds.map(jobIdOf).filter((id) => id !== undefined));
  if (jobIds.size === 0) return undefined;
  return [...jobIds].map((id) => `labels.${Label.Job}="${id}"`).join(" OR ");
}

/** A filter for what has not ended of a deployment. */
export function filterOfDeployment(deploymentId: string, states: readonly string[]): string {
  const anyState = states.map((state) => `status.state="${state}"`).join(" OR ");
  return `labels.${Label.Deployment}="${deploymentId}" AND (${anyState})`;
}

function jobIdOf(batchJobId: string): string | undefined {
  return /^j[0-9a-f]{8}-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d+$/.exec(batchJobId)?.[1];
}
