import { constants } from "node:fs";
import { link, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UnavailableError } from "#pkg/errors/index.ts";
import { type Intent, parseIntent } from "./records.ts";

/** What batch job ids are on every cloud; also what keeps a name from leading out of the workdir. */
const BATCH_JOB_ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;

/** The folders of one workdir, by batch job id. The files in them are those of README.md. */
export interface Folders {
  /** Holds every attempt's folder. */
  readonly root: string;
  /** Undefined: no attempt can have this id. */
  pathOf(batchJobId: string): string | undefined;
}

export function createFolders(workdir: string): Folders {
  const root = join(workdir, "jobs");
  return {
    root,
    pathOf: (batchJobId) => (BATCH_JOB_ID.test(batchJobId) ? join(root, batchJobId) : undefined),
  };
}

/** The names in a folder; undefined when there is no folder. */
export async function namesIn(folder: string): Promise<ReadonlySet<string> | undefined> {
  return absentIsUndefined(async () => new Set(await readdir(folder)));
}

/** A file's text and when it was written; undefined when it is not there. */
export async function readRecord(path: string): Promise<{ text: string; atMs: number } | undefined> {
  return absentIsUndefined(async () => {
    const file = await open(path, constants.O_RDONLY);
    try {
      const text = await file.readFile("utf8");
      return { text, atMs: Math.round((await file.stat()).mtimeMs) };
    } finally {
      await file.close();
    }
  });
}

export async function readIntent(folder: string): Promise<Intent | undefined> {
  const text = await absentIsUndefined(() => readFile(join(folder, "intent"), "utf8"));
  return text === undefined ? undefined : parseIntent(text);
}

/** Links a complete `pid` into the folder; false when the link is taken already. `draft` is a name of the caller's alone. */
export async function takeLink(folder: string, draft: string, text: string): Promise<boolean> {
  const path = join(folder, `pid.${draft}`);
  await writeFile(path, text, { flag: "wx", mode: 0o600 });
  try {
    await link(path, join(folder, "pid"));
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await rm(path, { force: true });
  }
}

/** Makes an empty file if it is not there. */
export async function mark(path: string): Promise<void> {
  await writeFile(path, "", { flag: "a", mode: 0o600 });
}

export async function exists(path: string): Promise<boolean> {
  return (await absentIsUndefined(() => stat(path))) !== undefined;
}

/** Has the entries of a folder survive a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}

/** What a file system's refusal is to a reader: the cloud does not answer. */
export function asUnavailable(error: unknown): Error {
  if (error instanceof UnavailableError) return error;
  return new UnavailableError(
    "LOCAL_WORKDIR",
    `the workdir cannot be read or written (${codeOf(error) ?? "?"})`,
    {
      cause: error,
    },
  );
}

export async function absentIsUndefined<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw asUnavailable(error);
  }
}
