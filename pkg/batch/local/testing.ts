import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BatchHarness, Work } from "#pkg/batch/conformance/index.ts";
import type { CreateRequest } from "#pkg/batch/index.ts";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { createLocalProvider, type LocalProviderOptions } from "./index.ts";
import { openProcessTable } from "./process-table.ts";

export const silent = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });

/** A workdir of a test's own, real and empty. */
export async function newWorkdir(): Promise<string> {
  return realpath(await mkdtemp(join(tmpdir(), "jennah-local-")));
}

/** A provider with a grace of one second; `more` overrides. Not started. */
export function providerIn(workdir: string, more: Partial<LocalProviderOptions> = {}) {
  return createLocalProvider({
    workdir,
    clock: systemClock,
    entropy: systemEntropy,
    log: silent,
    graceSeconds: 1,
    ...more,
  });
}

/** Another shell than /bin/sh, `busybox sh` say, to try by hand with LOCAL_TEST_SHELL. */
export function testShell(): Pick<LocalProviderOptions, "shell"> {
  const [program, ...args] = (process.env.LOCAL_TEST_SHELL ?? "").split(" ");
  return program ? { shell: [program, ...args] } : {};
}

/** Each program appends a line to a file named after its batch job, outside of its folder, before it does anything else. */
export async function openLocalHarness(): Promise<BatchHarness> {
  const base = await newWorkdir();
  const workdir = join(base, "work");
  const starts = join(base, "starts");
  await mkdir(starts);
  const counted = (script: string, args: readonly string[] = []) => ({
    entrypoint: "/bin/sh",
    commands: ["-c", `echo x >> "${starts}/\${JENNAH_ATTEMPT_DIR##*/}"; ${script}`, "program", ...args],
  });
  return {
    async open() {
      const provider = providerIn(workdir, testShell());
      await provider.start();
      return { provider, close: () => provider.stop() };
    },
    program(work: Work) {
      switch (work.kind) {
        case "exit":
          return counted(`exit ${work.code}`);
        case "forever":
          return counted("exec sleep 300");
        default:
          return counted(`printf '%s\\0' "$@" > args; exec env -0 > env`, work.arguments);
      }
    },
    async starts(batchJobId) {
      return (await linesOf(join(starts, batchJobId))).length;
    },
    async observed(batchJobId) {
      const home = join(workdir, "jobs", batchJobId, "home");
      const pairs = split(await readFile(join(home, "env"), "utf8"));
      const env = pairs.map(
        (pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)] as const,
      );
      return { arguments: split(await readFile(join(home, "args"), "utf8")), env: Object.fromEntries(env) };
    },
    async createUnstarted(request: CreateRequest) {
      await folderWithoutShim(workdir, request);
    },
    close: () => rm(base, { recursive: true, force: true, maxRetries: 5 }),
  };
}

/** The folder that a creator leaves which dies between giving the name and launching. */
export async function folderWithoutShim(
  workdir: string,
  request: CreateRequest,
  bootId?: string,
): Promise<string> {
  const folder = join(workdir, "jobs", request.batchJobId);
  await mkdir(join(folder, "home"), { recursive: true });
  const { deploymentId, tenantId, jobId, attempt } = request;
  const intent = {
    deploymentId,
    tenantId,
    jobId,
    attempt,
    bootId: bootId ?? (await openProcessTable()).bootId,
  };
  await writeFile(join(folder, "intent"), `${JSON.stringify(intent)}\n`);
  return folder;
}

export async function linesOf(path: string): Promise<readonly string[]> {
  const text = await readFile(path, "utf8").catch(() => "");
  return text.split("\n").slice(0, -1);
}

function split(text: string): readonly string[] {
  return text.split("\0").slice(0, -1);
}
