import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import {
  type BatchCapabilities,
  type BatchProvider,
  hasEnded,
  type InventoryItem,
  type LookOutcome,
} from "#pkg/batch/index.ts";
import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { ExitCode, errorMessage, InvariantError, StartupError } from "#pkg/errors/index.ts";
import { createLoop, createService, type Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { stateOf } from "./attempt-state.ts";
import { createAttempt, FOREIGN } from "./create.ts";
import { asUnavailable, createFolders, readIntent, syncFolder, takeLink } from "./folder.ts";
import { locateWorkdir } from "./machine.ts";
import { createObserver, type Observer } from "./observe.ts";
import { openProcessTable, type ProcessTable } from "./process-table.ts";
import { removeAttempt, sweep } from "./removal.ts";
import { terminateAttempt } from "./terminate.ts";
import { validateSpec } from "./validate.ts";

export interface LocalProviderOptions {
  /** Where attempts have their folders; made if it is not there. On a local disk. `LOCAL_WORKDIR`. */
  readonly workdir: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Logger;
  /** Whole seconds from TERM to KILL, for a cancel and for the run-time limit. Default 10. */
  readonly graceSeconds?: number;
  /** A POSIX shell with its arguments. Default `/bin/sh`. */
  readonly shell?: readonly [string, ...string[]];
  /** How long the name of a removed batch job stays taken; milliseconds. Default 7 days. */
  readonly nameKeptMs?: number;
}

const CAPABILITIES: BatchCapabilities = {
  createIsIdempotent: true,
  maxDescribe: 1000,
  // A launch is a fork, five file operations and two flushes; more at once only queue for the disk.
  maxConcurrentCreates: 16,
  // A launched shim takes its link within milliseconds. One that was held up longer finds the link taken, whenever it
  // comes: by a create, a cancel or a removal; so this bounds only for how long a list may lag behind a launch.
  requestOutlivesMs: 5_000,
  // Files of this machine: nobody else counts the calls.
  maxCallsPerSecond: 10_000,
};

const DEFAULT_GRACE_SECONDS = 10;
const DEFAULT_NAME_KEPT_MS = 7 * 24 * 3_600_000;
const SWEEP_INTERVAL_MS = 3_600_000;
const INVENTORY_PAGE = 500;
const MIB = 2 ** 20;

/**
 * The small batch system of this machine (README.md). The workdir is made here already, because the target is a name of
 * its real path; nothing runs before `start`, which tries out all that an attempt will need.
 * @throws StartupError when the workdir cannot be made or read.
 */
export function createLocalProvider(options: LocalProviderOptions): BatchProvider & Service {
  const { clock, entropy, log } = options;
  const { path: workdir, target } = locateWorkdir(options.workdir, entropy);
  const folders = createFolders(workdir);
  const shell = options.shell ?? ["/bin/sh"];
  const machine = { cpuMillis: availableParallelism() * 1000, memoryMib: Math.floor(totalmem() / MIB) };
  const newNonce = () => Buffer.from(entropy.bytes(8)).toString("hex");
  let running: { readonly processes: ProcessTable; readonly observer: Observer } | undefined;

  const sweeper = createLoop({
    name: "local provider's sweep",
    clock,
    intervalMs: () => SWEEP_INTERVAL_MS,
    step: (signal) => sweep(folders, clock, options.nameKeptMs ?? DEFAULT_NAME_KEPT_MS, signal),
    onError: (err) => log.warn({ err }, "local provider could not sweep its workdir"),
  });
  const service = createService({
    name: "local provider",
    async start() {
      const processes = await tryOut(workdir, folders.root, shell, newNonce());
      running = { processes, observer: createObserver(folders, processes) };
      await sweeper.start();
    },
    stop: () => sweeper.stop(),
  });
  const parts = () => {
    if (running === undefined) throw new InvariantError("the local provider was not started");
    return running;
  };

  async function look(request: Parameters<BatchProvider["look"]>[0]): Promise<LookOutcome> {
    const folder = folders.pathOf(request.batchJobId);
    const intent = folder === undefined ? undefined : await readIntent(folder);
    if (intent === undefined) return { kind: "absent" };
    if (intent.deploymentId !== request.deploymentId || intent.tenantId !== request.tenantId) {
      return { kind: "foreign", message: FOREIGN };
    }
    const facts = await parts().observer.facts(request.batchJobId);
    const state = facts && stateOf(facts);
    return state === undefined ? { kind: "absent" } : { kind: "found", state };
  }

  async function* inventory(
    deploymentId: string,
    signal: AbortSignal,
  ): AsyncGenerator<readonly InventoryItem[]> {
    const names = await readdir(folders.root).catch((error: unknown) => {
      throw asUnavailable(error);
    });
    for (let from = 0; from < names.length; from += INVENTORY_PAGE) {
      const states = await parts().observer.states(names.slice(from, from + INVENTORY_PAGE), signal);
      const items: InventoryItem[] = [];
      for (const { batchJobId, providerJobId, phase } of states.values()) {
        if (hasEnded(phase)) continue;
        const intent = await readIntent(folders.pathOf(batchJobId) ?? "");
        if (intent?.deploymentId === deploymentId) items.push({ batchJobId, providerJobId, phase });
      }
      if (items.length > 0) yield items;
    }
  }

  return {
    name: service.name,
    get state() {
      return service.state;
    },
    start: service.start,
    drain: service.drain,
    stop: service.stop,
    target,
    capabilities: CAPABILITIES,
    validate: (spec) => validateSpec(spec, machine),
    create(request, permit) {
      const { processes, observer } = parts();
      const graceSeconds = options.graceSeconds ?? DEFAULT_GRACE_SECONDS;
      const deps = { folders, observer, bootId: processes.bootId, entropy, graceSeconds, shell };
      return createAttempt(deps, request, permit);
    },
    look,
    async describe(batchJobIds, signal) {
      if (batchJobIds.length > CAPABILITIES.maxDescribe) {
        throw new InvariantError(
          `describe takes at most ${CAPABILITIES.maxDescribe} ids, not ${batchJobIds.length}`,
        );
      }
      return parts().observer.states(batchJobIds, signal);
    },
    terminate: (batchJobId) => terminateAttempt({ folders, ...parts() }, batchJobId, newNonce()),
    remove: (batchJobId, permit) => removeAttempt({ folders, ...parts() }, batchJobId, permit, newNonce()),
    inventory,
  };
}

/** Everything that an attempt will need, once, so that a worker that could run none does not start. */
async function tryOut(
  workdir: string,
  root: string,
  shell: readonly [string, ...string[]],
  nonce: string,
): Promise<ProcessTable> {
  const probe = join(workdir, `.probe-${nonce}`);
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    await mkdir(probe);
    await writeFile(join(probe, "intent"), "probe");
    // Some file systems have no hard links.
    await takeLink(probe, nonce, "probe");
    await syncFolder(probe);
    const [program, ...args] = shell;
    const [code] = await once(spawn(program, [...args, "-c", ":"], { env: {}, stdio: "ignore" }), "close");
    if (code !== 0) throw new Error(`${shell.join(" ")} does not run (exit code ${code})`);
    const processes = await openProcessTable();
    if (!(await processes.startTimes([process.pid])).has(process.pid))
      throw new Error("the process table does not show this process");
    return processes;
  } catch (error) {
    throw new StartupError(
      `LOCAL_WORKDIR: programs cannot be run in ${workdir}: ${errorMessage(error)}`,
      ExitCode.Config,
      {
        cause: error,
      },
    );
  } finally {
    // A probe that cannot be removed harms nobody.
    await rm(probe, { recursive: true, force: true }).catch(() => undefined);
  }
}
