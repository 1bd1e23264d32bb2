import { readdirSync, readFileSync } from "node:fs";

/** Ticks of /proc are hundredths of a second on every Linux that Node runs on. */
const TICK_US = 10_000;

/** CPU that a process and its children have used so far, user and system, in microseconds. Linux only. */
export function cpuUsed(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + ticks(each) * TICK_US, 0);
}

/** Resident memory of a process in MiB. */
export function residentMib(pid: number): number {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kib ?? 0) / 1024;
}

function ticks(pid: number): number {
  const fields = statFields(pid);
  return Number(fields[11]) + Number(fields[12]);
}

function childrenOf(pid: number): number[] {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return all.map(Number).filter((each) => parentOf(each) === pid);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(statFields(pid)[1]);
  } catch {
    // It ended between the listing and the reading.
    return undefined;
  }
}

/** What follows the name, which may hold anything, also spaces. */
function statFields(pid: number): string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}
