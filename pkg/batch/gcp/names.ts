/** Where batch jobs are made: one project, one region. */
export interface Location {
  readonly projectId: string;
  readonly region: string;
}

export function targetOf({ projectId, region }: Location): string {
  return `gcp/${projectId}/${region}`;
}

export function parentOf({ projectId, region }: Location): string {
  return `projects/${projectId}/locations/${region}`;
}

export function nameOf(location: Location, batchJobId: string): string {
  return `${parentOf(location)}/jobs/${batchJobId}`;
}

/** The last part of a name; the cloud may write the project as its number. */
export function batchJobIdOfName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}
