import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, realpathSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { v1 } from "@google-cloud/spanner";
import { afterAll, beforeAll, describe, it } from "vitest";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { clientOptions } from "#pkg/store/spanner/connection.ts";
import { createSpannerStore, migrate, type SpannerStoreOptions } from "#pkg/store/spanner/index.ts";

const NO_EMULATOR = "not run: no Spanner emulator found";

const PROJECT = "test-project";
const INSTANCE = "test-instance";
/** Beside `bin/gcloud` of the SDK, when its component is installed. */
const IN_SDK = join("cloud_spanner_emulator", "emulator_main");

/**
 * Tests that need an emulator: one is started for all that `define` defines, and stopped after them. On a machine without
 * one they are skipped, and the summary says so.
 */
export function describeOnSpanner(title: string, define: (emulator: () => SpannerEmulator) => void): void {
  const program = findSpannerEmulator();
  if (program === undefined) {
    it.skip(`${title} (${NO_EMULATOR})`);
    return;
  }
  describe(title, () => {
    let started: SpannerEmulator | undefined;
    beforeAll(async () => {
      started = await startSpannerEmulator(program);
    });
    afterAll(() => started?.stop());
    define(() => {
      if (started === undefined) throw new Error("the emulator is started before the first test");
      return started;
    });
  });
}

/** The emulator's program: `SPANNER_EMULATOR_MAIN`, else that of the Google Cloud SDK on PATH; undefined where there is none. */
function findSpannerEmulator(): string | undefined {
  const named = process.env.SPANNER_EMULATOR_MAIN;
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  const beside = folders.flatMap((folder) => {
    const gcloud = realPathOf(join(folder, "gcloud"));
    return gcloud === undefined ? [] : [join(dirname(gcloud), IN_SDK)];
  });
  return (named === undefined ? beside : [named]).find(isExecutable);
}

export interface SpannerEmulator {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  /** The name of a database that is made now, of the given statements or migrated; on one instance with all others. */
  createDatabase(schema: readonly string[] | "migrated"): Promise<string>;
  /** The statements that a database's schema is made of, as the emulator tells them. */
  schemaOf(database: string): Promise<readonly string[]>;
  /** To the emulator's process: SIGSTOP has it stand still with all that asks it, SIGCONT go on. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  stop(): Promise<void>;
}

/** Runs the emulator until standard input ends, as it also does when the tests die: nothing of them stays behind. */
const UNTIL_TOLD = '"$0" --host_port 127.0.0.1:0 & echo "Process: $!" >&2; read -r _; kill -9 $!; wait';

/** Starts an emulator of its own on a free port, and points every client of this process at it. */
async function startSpannerEmulator(program: string): Promise<SpannerEmulator> {
  const child = spawn("sh", ["-c", UNTIL_TOLD, program], { stdio: ["pipe", "ignore", "pipe"] });
  const { pid, host } = await addressOf(child);
  process.env.SPANNER_EMULATOR_HOST = host;
  const options = clientOptions(PROJECT);
  const instances = new v1.InstanceAdminClient(options);
  const databases = new v1.DatabaseAdminClient(options);
  const [creating] = await instances.createInstance({
    parent: instances.projectPath(PROJECT),
    instanceId: INSTANCE,
    instance: {
      name: instances.instancePath(PROJECT, INSTANCE),
      config: instances.instanceConfigPath(PROJECT, "emulator-config"),
      displayName: INSTANCE,
      nodeCount: 1,
    },
  });
  await creating.promise();
  let made = 0;

  return {
    host,
    async createDatabase(schema) {
      const database = `test-${++made}`;
      const [operation] = await databases.createDatabase({
        parent: databases.instancePath(PROJECT, INSTANCE),
        createStatement: `CREATE DATABASE \`${database}\``,
        extraStatements: schema === "migrated" ? [] : [...schema],
      });
      await operation.promise();
      if (schema === "migrated") await migrate({ ...storeOptions(database), onProgress: () => undefined });
      return database;
    },
    async schemaOf(database) {
      const [{ statements }] = await databases.getDatabaseDdl({
        database: databases.databasePath(PROJECT, INSTANCE, database),
      });
      return statements ?? [];
    },
    signal: (signal) => void process.kill(pid, signal),
    async stop() {
      await Promise.all([instances.close(), databases.close()]);
      const exited = once(child, "exit");
      child.stdin.end();
      await exited;
    },
  };
}

/** What a store of one of the emulator's databases is made of. */
export function storeOptions(database: string): SpannerStoreOptions {
  return {
    project: PROJECT,
    instance: INSTANCE,
    database,
    clock: systemClock,
    entropy: systemEntropy,
    log: createLogger({ level: "silent", format: "json" }),
  };
}

/** A store of one of the emulator's databases, not yet started. */
export function spannerStoreOf(database: string, changes: Partial<SpannerStoreOptions> = {}): JobStore {
  return createSpannerStore({ ...storeOptions(database), ...changes });
}

/** Standard error says which process it is, and then where it listens. */
async function addressOf(child: ChildProcess): Promise<{ readonly pid: number; readonly host: string }> {
  const output = child.stderr;
  if (output === null) throw new Error("the emulator's output is piped, so it is there");
  const lines = createInterface({ input: output });
  let pid = 0;
  try {
    for await (const line of lines) {
      pid = Number(/^Process: (\d+)$/.exec(line)?.[1] ?? pid);
      const [, host] = /Server address: (\S+)/.exec(line) ?? [];
      if (host !== undefined && pid !== 0) return { pid, host };
    }
  } finally {
    output.resume();
  }
  throw new Error("the Spanner emulator ended before it listened");
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}
