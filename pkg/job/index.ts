/**
 * What a job is: its specification, its row, its states and the one table of their transitions, its ids, and how its
 * secrets are sealed. Everything here is pure; nothing here knows of a store, a cloud or a wire.
 *
 * It promises that no illegal transition passes `checkTransition`, and that every process of a deployment derives the
 * same batch job id from the same job and attempt.
 */
export { batchJobIdOf, createJobId, isJobId, parseBatchJobId } from "./ids.ts";
export {
  CreatePhase,
  EventType,
  JOB_LEVEL,
  type Job,
  type JobError,
  type JobEvent,
  type JobRef,
  type Owner,
} from "./job.ts";
export { secretsKey } from "./parse-secrets-key.ts";
export { requestHashes } from "./request-hash.ts";
export {
  createKeyring,
  fingerprintOf,
  isSameMac,
  type KeyedMac,
  type Keyring,
  SealedByUnknownKeyError,
  type SealedEnv,
} from "./sealing.ts";
export {
  type JobSpec,
  KIND_CONTAINER,
  PROFILES,
  type ProfileName,
  type ResourceOverride,
  type Resources,
  resourcesOf,
} from "./spec.ts";
export { isActive, isTerminal, JobStatus, mayBecome, TRANSITIONS } from "./status.ts";
export { TENANT_HEADER, tenantIdFault } from "./tenant.ts";
export {
  checkServiceAccount,
  SPEC_LIMITS,
  type SpecInput,
  type ValidatedSpec,
  validateSpec,
} from "./validate-spec.ts";
export { targetFault } from "./validate-target.ts";
export { textFault } from "./validate-text.ts";
