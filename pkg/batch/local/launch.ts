import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { open } from "node:fs/promises";
import { Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InvariantError } from "#pkg/errors/index.ts";
import { codeOf } from "./folder.ts";

const SHIM = fileURLToPath(new URL("./shim.sh", import.meta.url));

/** The shim's own search path, and the program's where the job sets none. */
export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface LaunchRequest {
  readonly folder: string;
  /** Names this launch among all others of the attempt. */
  readonly nonce: string;
  readonly bootId: string;
  readonly limitSeconds: number;
  readonly graceSeconds: number;
  /** Program and arguments. */
  readonly argv: readonly string[];
  /** The job's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** What runs the shim: a program and its arguments. */
  readonly shell: readonly [string, ...string[]];
}

/** What came of a launch, as far as it can be told without a look at the folder. */
export type LaunchOutcome =
  /** The shim has taken the link or lost it, or is gone without having tried: the folder tells. */
  | { readonly kind: "decided" }
  /** No process was made. `isFinal`: nor will one be, the arguments are too long. */
  | { readonly kind: "failed"; readonly isFinal: boolean; readonly cause: unknown }
  /** The caller's time ran out; the shim may be on its way. */
  | { readonly kind: "unknown"; readonly cause: unknown };

/**
 * Spawns the shim as the leader of a session of its own and waits until it has decided who runs. `beforeSpawn` is called
 * last, after every await; what it throws is the outcome's cause, and nothing was spawned.
 */
export async function launch(
  request: LaunchRequest,
  beforeSpawn: () => void,
  signal: AbortSignal,
): Promise<LaunchOutcome> {
  let decided: Promise<unknown>;
  try {
    const output = await open(join(request.folder, "output"), "a", 0o600);
    try {
      beforeSpawn();
      const child = spawnShim(request, output.fd);
      // At once: a shim may have decided before the next await is over. A rejection waits until it is asked for below.
      decided = pipeClosed(child, signal);
      decided.catch(() => undefined);
      await spawned(child);
    } finally {
      await output.close();
    }
  } catch (cause) {
    return { kind: "failed", isFinal: codeOf(cause) === "E2BIG", cause };
  }
  try {
    await decided;
    return { kind: "decided" };
  } catch (cause) {
    return { kind: "unknown", cause };
  }
}

function spawnShim(request: LaunchRequest, outputFd: number): ChildProcess {
  const [shell, ...shellArgs] = request.shell;
  const { nonce, bootId, limitSeconds, graceSeconds } = request;
  const args = [SHIM, nonce, bootId, String(limitSeconds), String(graceSeconds), ...request.argv];
  return spawn(shell, [...shellArgs, ...args], {
    cwd: request.folder,
    detached: true,
    // The pipe's other end is closed by the shim when it has decided, or by the kernel when the shim dies.
    stdio: ["ignore", outputFd, outputFd, "pipe"],
    env: { PATH: DEFAULT_PATH, ...packEnv(request.folder, request.env) },
  });
}

function packEnv(folder: string, own: Readonly<Record<string, string>>): Record<string, string> {
  const whole = { PATH: DEFAULT_PATH, HOME: join(folder, "home"), JENNAH_ATTEMPT_DIR: folder, ...own };
  const pairs = Object.entries(whole).map(([name, value]) => `${name}=${value}`);
  const packed = pairs.map((pair, index) => [`JENNAH_ENV_${index + 1}`, pair] as const);
  return { JENNAH_ENV_COUNT: String(pairs.length), ...Object.fromEntries(packed) };
}

/** Rejects when no process was made. */
async function spawned(child: ChildProcess): Promise<void> {
  // A process without a pid says why by an `error`, with which `once` rejects.
  if (child.pid === undefined) await once(child, "spawn");
  // Its end is read from the folder, by whoever lives then.
  child.unref();
}

async function pipeClosed(child: ChildProcess, signal: AbortSignal): Promise<void> {
  const pipe = child.stdio[3];
  if (!(pipe instanceof Socket)) throw new InvariantError("descriptor 3 of the shim is no pipe");
  const closed = once(pipe, "close", { signal });
  pipe.resume();
  try {
    await closed;
  } finally {
    pipe.destroy();
  }
}
