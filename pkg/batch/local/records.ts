/** What stands in the files of an attempt's folder; see README.md. A text that is none of ours reads as undefined. */

/** Who took the one link: a process, or nobody ever. */
export type PidRecord =
  | {
      readonly kind: "process";
      readonly pid: number;
      readonly nonce: string;
      readonly bootId: string;
      readonly startTime: string;
    }
  | { readonly kind: "none"; readonly why: "cancelled" | "lost" };

export function parsePid(text: string): PidRecord | undefined {
  const [kind, ...words] = text.trim().split(/\s+/);
  if (kind === "none") {
    const [why] = words;
    return why === "cancelled" || why === "lost" ? { kind, why } : undefined;
  }
  const [pid, nonce, bootId, ...start] = words;
  // A power cut may leave the link to a file whose text never reached the disk.
  if (kind !== "process" || !text.endsWith("\n") || start.length === 0) return undefined;
  if (pid === undefined || nonce === undefined || bootId === undefined || !/^[1-9]\d*$/.test(pid))
    return undefined;
  return { kind, pid: Number(pid), nonce, bootId, startTime: start.join(" ") };
}

export function formatNone(why: "cancelled" | "lost"): string {
  return `none ${why}\n`;
}

/** How an attempt ended, as its shim saw it. */
export interface ExitRecord {
  readonly code: number;
  /** `exited`: by itself. `terminated`: after a TERM that no cancel announced. */
  readonly why: "exited" | "cancelled" | "timeout" | "terminated";
}

export function parseExit(text: string): ExitRecord | undefined {
  const [, code, why] = /^(\d+) (exited|cancelled|timeout|terminated)\n$/.exec(text) ?? [];
  if (code === undefined || why === undefined) return undefined;
  return { code: Number(code), why: why as ExitRecord["why"] };
}

/** Whose attempt it is. */
export interface Intent {
  readonly deploymentId: string;
  readonly tenantId: string;
  readonly jobId: string;
  readonly attempt: number;
  /** The boot in which the folder was made. */
  readonly bootId: string;
}

export function parseIntent(text: string): Intent | undefined {
  try {
    const { deploymentId, tenantId, jobId, attempt, bootId } = JSON.parse(text);
    const isWhole = [deploymentId, tenantId, jobId, bootId].every((each) => typeof each === "string");
    return isWhole && typeof attempt === "number"
      ? { deploymentId, tenantId, jobId, attempt, bootId }
      : undefined;
  } catch {
    // Not ours, or torn by a power cut: nobody's attempt.
    return undefined;
  }
}
