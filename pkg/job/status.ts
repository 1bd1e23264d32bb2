/**
 * What a job is doing. PENDING: committed, not confirmed by the cloud (for this attempt). RUNNING: the cloud has the
 * batch job, queued or running. The others are terminal. Closed for v1.
 */
export const JobStatus = {
  Pending: "PENDING",
  Running: "RUNNING",
  Completed: "COMPLETED",
  Failed: "FAILED",
  Cancelled: "CANCELLED",
} as const;
export type JobStatus = (typeof JobStatus)[keyof typeof JobStatus];

/** The one table of transitions. Staying in a status is not a transition. Every store consults it before it writes. */
export const TRANSITIONS: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  PENDING: [JobStatus.Running, JobStatus.Completed, JobStatus.Failed, JobStatus.Cancelled],
  RUNNING: [JobStatus.Pending, JobStatus.Completed, JobStatus.Failed, JobStatus.Cancelled],
  COMPLETED: [],
  FAILED: [],
  CANCELLED: [],
};

/** Whether a write may leave a job that stands at `from` at `to`; staying is allowed wherever the job is. */
export function mayBecome(from: JobStatus, to: JobStatus): boolean {
  return from === to || TRANSITIONS[from].includes(to);
}

/** COMPLETED, FAILED or CANCELLED: nothing changes it any more. */
export function isTerminal(status: JobStatus): boolean {
  return TRANSITIONS[status].length === 0;
}

/** PENDING or RUNNING. */
export function isActive(status: JobStatus): boolean {
  return !isTerminal(status);
}
