import type { Clock, Entropy } from "#pkg/clock/index.ts";

const JOB_ID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const BATCH_JOB_ID = /^j([0-9a-f]{8})-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([1-9][0-9]{0,3})$/;

/** A new job id: a UUIDv7 (RFC 9562, section 5.7), 48 bits of wall clock and 74 of randomness, in lower case. */
export function createJobId(clock: Pick<Clock, "nowMs">, entropy: Entropy): string {
  const bytes = Buffer.from(entropy.bytes(16));
  bytes.writeUIntBE(clock.nowMs(), 0, 6);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** Whether a text is a job id as `createJobId` makes them. */
export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}

/**
 * The id of the batch job of one attempt: `j<8 hex of the deployment>-<job id>-<attempt>`, at most 50 characters of
 * `[a-z0-9-]` beginning with a letter, which is valid on every cloud. A pure function, so that every process that tries
 * the same attempt uses the same name.
 *
 * @param deploymentId the deployment's id: a UUID.
 */
export function batchJobIdOf(deploymentId: string, jobId: string, attempt: number): string {
  return `j${deploymentPrefix(deploymentId)}-${jobId}-${attempt}`;
}

/** The parts of a batch job id, or undefined when it is none of this deployment's. */
export function parseBatchJobId(
  deploymentId: string,
  id: string,
): { jobId: string; attempt: number } | undefined {
  const [, prefix, jobId, attempt] = BATCH_JOB_ID.exec(id) ?? [];
  if (jobId === undefined || prefix !== deploymentPrefix(deploymentId)) return undefined;
  return { jobId, attempt: Number(attempt) };
}

function deploymentPrefix(deploymentId: string): string {
  return deploymentId.replaceAll("-", "").slice(0, 8);
}
