import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { promisify } from "node:util";
import { UnavailableError } from "#pkg/errors/index.ts";

const run = promisify(execFile);

/** Which processes live on this machine. A start time is an opaque text, equal to what the shim writes of itself. */
export interface ProcessTable {
  /** Tells this boot of the machine from every other: a pid means something within one boot only. */
  readonly bootId: string;
  /** The start times of those of `pids` that live. A zombie does not. */
  startTimes(pids: readonly number[]): Promise<ReadonlyMap<number, string>>;
}

/** Reads `/proc` where there is one (no process is spawned), asks `ps` and `sysctl` elsewhere. */
export async function openProcessTable(): Promise<ProcessTable> {
  if (existsSync("/proc/self/stat")) {
    const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return { bootId, startTimes: async (pids) => fromProc(pids) };
  }
  return { bootId: await bootIdFromSysctl(), startTimes: fromPs };
}

// Synchronously: the kernel answers from memory, in some ten microseconds, which a trip through the thread pool exceeds.
export function fromProc(pids: readonly number[]): ReadonlyMap<number, string> {
  const alive = new Map<number, string>();
  for (const pid of pids) {
    const stat = readStat(pid);
    // The name of the program may itself hold blanks and brackets; what follows its last bracket is fields 3 and on.
    const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? [];
    const [state, startTime] = [fields[0], fields[19]];
    if (state === undefined || startTime === undefined || state === "Z" || state === "X") continue;
    alive.set(pid, startTime);
  }
  return alive;
}

function readStat(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // ESRCH: it ended between open and read.
    if (code === "ENOENT" || code === "ESRCH") return undefined;
    throw new UnavailableError("LOCAL_PROCESS_TABLE", "the process table cannot be read", { cause: error });
  }
}

/** The same without `/proc`. */
export async function fromPs(pids: readonly number[]): Promise<ReadonlyMap<number, string>> {
  const alive = new Map<number, string>();
  if (pids.length === 0) return alive;
  const args = ["-o", "pid=,stat=,lstart=", "-p", pids.join(",")];
  // ps exits 1 when none of them lives.
  const { stdout } = await run("ps", args, { env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" } }).catch(
    (error: { code?: unknown; stdout?: string }) => {
      if (error.code === 1) return { stdout: error.stdout ?? "" };
      throw new UnavailableError("LOCAL_PROCESS_TABLE", "ps cannot be run", { cause: error });
    },
  );
  for (const line of stdout.split("\n")) {
    const [pid, state, ...start] = line.trim().split(/\s+/);
    if (pid === undefined || state === undefined || state.startsWith("Z")) continue;
    alive.set(Number(pid), start.join(" "));
  }
  return alive;
}

async function bootIdFromSysctl(): Promise<string> {
  const names = ["kern.bootsessionuuid", "kern.boottime"];
  for (const name of names) {
    const answer = await run("sysctl", ["-n", name]).catch(() => undefined);
    const words = answer?.stdout.match(/[0-9A-Za-z]+/g);
    if (words) return words.join("-");
  }
  throw new UnavailableError("LOCAL_PROCESS_TABLE", `sysctl knows none of ${names.join(", ")}`);
}
