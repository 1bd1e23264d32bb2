import { mkdir, open, rename, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { type CreateOutcome, type CreateRequest, type Permit, TrustLapsedError } from "#pkg/batch/index.ts";
import type { Entropy } from "#pkg/clock/index.ts";
import { errorMessage, InvariantError } from "#pkg/errors/index.ts";
import { type JobSpec, resourcesOf } from "#pkg/job/index.ts";
import { stateOf } from "./attempt-state.ts";
import { codeOf, exists, type Folders, readIntent, syncFolder, takeLink } from "./folder.ts";
import { type LaunchRequest, launch } from "./launch.ts";
import type { Observer } from "./observe.ts";
import { formatNone, type Intent } from "./records.ts";

export interface CreateDeps {
  readonly folders: Folders;
  readonly observer: Observer;
  readonly bootId: string;
  readonly entropy: Entropy;
  readonly graceSeconds: number;
  readonly shell: readonly [string, ...string[]];
}

/** Staging folders begin with a dot, which no batch job id does. */
export const STAGING_PREFIX = ".new-";

/** The program and its arguments: without an entrypoint the first of commands is the program. */
export function argvOf(spec: Pick<JobSpec, "entrypoint" | "commands">): readonly string[] {
  return spec.entrypoint === "" ? spec.commands : [spec.entrypoint, ...spec.commands];
}

/** Gives the name a folder, launches the shim, and answers what the folder says then. README.md has the protocol. */
export async function createAttempt(
  deps: CreateDeps,
  request: CreateRequest,
  permit: Permit,
): Promise<CreateOutcome> {
  const nonce = Buffer.from(deps.entropy.bytes(8)).toString("hex");
  const folder = deps.folders.pathOf(request.batchJobId);
  if (folder === undefined) throw new InvariantError(`${request.batchJobId} is no batch job id`);
  const staging = join(deps.folders.root, `${STAGING_PREFIX}${nonce}`);
  const intent: Intent = {
    deploymentId: request.deploymentId,
    tenantId: request.tenantId,
    jobId: request.jobId,
    attempt: request.attempt,
    bootId: deps.bootId,
  };
  try {
    await stage(staging, intent);
  } catch (error) {
    await discard(staging);
    // Nothing can be written, so nothing was: the name is as free as before. But an earlier create may have it.
    return adoptOr(deps, request, refused("LOCAL_WORKDIR", "the workdir cannot be written", error));
  }
  try {
    permit.assertTrusted();
  } catch (error) {
    await discard(staging);
    throw error;
  }
  const named = await takeName(staging, folder);
  await discard(staging);
  if (named !== true && named !== false) return { kind: "unknown", cause: named.cause };
  try {
    return await launchAndLook(deps, request, permit, folder, nonce);
  } catch (cause) {
    return { kind: "unknown", cause };
  }
}

async function stage(staging: string, intent: Intent): Promise<void> {
  await mkdir(staging, { mode: 0o700 });
  await mkdir(join(staging, "home"), { mode: 0o700 });
  const file = await open(join(staging, "intent"), "wx", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(intent)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(staging);
}

/** True: the folder is ours. False: the name was taken. Else what came between, which may have happened after the rename. */
async function takeName(staging: string, folder: string): Promise<boolean | { readonly cause: unknown }> {
  try {
    await rename(staging, folder);
    return true;
  } catch (cause) {
    return codeOf(cause) === "ENOTEMPTY" || codeOf(cause) === "EEXIST" ? false : { cause };
  }
}

async function discard(staging: string): Promise<void> {
  // A folder that cannot be removed now is swept later.
  await rm(staging, { recursive: true, force: true }).catch(() => undefined);
}

async function launchAndLook(
  deps: CreateDeps,
  request: CreateRequest,
  permit: Permit,
  folder: string,
  nonce: string,
): Promise<CreateOutcome> {
  const intent = await readIntent(folder);
  const fault = await adoptionFault(request, intent, folder);
  if (fault !== undefined) return fault;
  if (!(await exists(join(folder, "pid")))) {
    // Also by who lost the name: it must not launch before the name is sure to outlive a power cut.
    await syncFolder(deps.folders.root);
    if (intent?.bootId !== deps.bootId) {
      // Made before the machine restarted; its link may have been lost with the power, after the program ran.
      await takeLink(folder, nonce, formatNone("lost"));
    } else {
      const failure = await start(deps, request, permit, folder, nonce);
      if (failure !== undefined) return failure;
    }
  }
  const facts = await deps.observer.facts(request.batchJobId);
  const state = facts && stateOf(facts);
  if (facts === undefined || state === undefined || facts.pid === undefined) {
    return refused("LOCAL_LAUNCH_FAILED", "the shim ended before it took the attempt", undefined);
  }
  const isOurs = facts.pid !== "torn" && facts.pid.kind === "process" && facts.pid.nonce === nonce;
  return { kind: "accepted", adopted: !isOurs, state };
}

async function start(
  deps: CreateDeps,
  request: CreateRequest,
  permit: Permit,
  folder: string,
  nonce: string,
): Promise<CreateOutcome | undefined> {
  const launchRequest: LaunchRequest = {
    folder,
    nonce,
    bootId: deps.bootId,
    limitSeconds: resourcesOf(request.spec).maxRunDurationSeconds,
    graceSeconds: deps.graceSeconds,
    argv: argvOf(request.spec),
    env: request.env,
    shell: deps.shell,
  };
  const beforeSpawn = () => {
    permit.signal.throwIfAborted();
    permit.assertTrusted();
  };
  const outcome = await launch(launchRequest, beforeSpawn, permit.signal);
  if (outcome.kind === "unknown") return outcome;
  if (outcome.kind === "decided") {
    // The shim's candidate; its link stays. Whatever is left goes with the folder.
    await unlink(join(folder, `pid.${nonce}`)).catch(() => undefined);
    return undefined;
  }
  // The name is taken already, so this is not "before anything was sent".
  if (outcome.cause instanceof TrustLapsedError || permit.signal.aborted)
    return { kind: "unknown", cause: outcome.cause };
  if (outcome.isFinal) {
    return {
      kind: "rejected",
      reason: "ARGUMENTS_TOO_LONG",
      message: "the arguments and the environment are longer than this machine allows",
    };
  }
  return refused("LOCAL_LAUNCH_FAILED", "no process could be started", outcome.cause);
}

/** Why the attempt in the folder must not be taken for the request's. */
async function adoptionFault(
  request: CreateRequest,
  intent: Intent | undefined,
  folder: string,
): Promise<CreateOutcome | undefined> {
  if (intent === undefined) {
    return {
      kind: "rejected",
      reason: "NAME_TAKEN",
      message: "the name is taken by something that is no attempt",
    };
  }
  if (intent.deploymentId !== request.deploymentId || intent.tenantId !== request.tenantId) {
    return { kind: "rejected", reason: "NAME_TAKEN", message: FOREIGN };
  }
  if (await exists(join(folder, "removed"))) {
    return {
      kind: "rejected",
      reason: "NAME_REMOVED",
      message: "the batch job was removed, and its name is not free yet",
    };
  }
  return undefined;
}

export const FOREIGN = "the name is taken by a batch job of another deployment or tenant";

async function adoptOr(
  deps: CreateDeps,
  request: CreateRequest,
  otherwise: CreateOutcome,
): Promise<CreateOutcome> {
  try {
    const folder = deps.folders.pathOf(request.batchJobId) ?? "";
    const intent = await readIntent(folder);
    if (intent === undefined) return otherwise;
    const fault = await adoptionFault(request, intent, folder);
    if (fault !== undefined) return fault;
    const facts = await deps.observer.facts(request.batchJobId);
    const state = facts && stateOf(facts);
    if (facts?.pid === undefined || state === undefined) return otherwise;
    return { kind: "accepted", adopted: true, state };
  } catch (cause) {
    return { kind: "unknown", cause };
  }
}

function refused(reason: string, message: string, cause: unknown): CreateOutcome {
  const words = cause === undefined ? message : `${message}: ${errorMessage(cause)}`;
  return { kind: "refused", reason, message: words, retryAfterMs: undefined, holdsUp: "target" };
}
