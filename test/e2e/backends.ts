import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";
import { type RemoteCloud, startRemoteCloud } from "#test/clouds/gcp/remote.ts";
import { freezeBetweenWrites, whileLocked } from "#test/support/freeze.ts";
import type { NodeProcess } from "#test/support/node-process.ts";
import {
  describeOnSpanner,
  type SpannerEmulator,
  spannerStoreOf,
  storeOptions,
} from "#test/support/spanner-emulator.ts";

type Env = Readonly<Record<string, string>>;

/** What the workers of a cluster keep their rows in. */
export interface StoreBackend {
  /** The rows of one cluster, which has this folder to itself. */
  open(folder: string): Promise<OpenStore>;
}

export interface OpenStore {
  /** `DB_…` of every worker. */
  readonly env: Env;
  /** A handle of the test's own on the rows; not started. */
  readonly handle: JobStore;
  /** Freezes a worker without keeping anybody else from writing. */
  freeze(worker: NodeProcess): Promise<void>;
  /** Lets nobody write for as long as `act` takes. */
  whileBlocked(act: () => Promise<void>): Promise<void>;
}

/** Where a cluster keeps its rows and runs its jobs, which are programs of this machine either way. */
export interface Backend {
  readonly name: "sqlite + local" | "gcp + spanner";
  readonly store: StoreBackend;
  /** `BATCH_…` of the workers of one cluster. */
  batchEnv(folder: string): Env;
}

export const SQLITE: StoreBackend = {
  async open(folder) {
    const path = join(folder, "jennah.db");
    const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
    return {
      env: { DB_PROVIDER: "sqlite", DB_PATH: path },
      handle: createSqliteStore({ path, clock, entropy, log }),
      freeze: (worker) => freezeBetweenWrites(worker, path),
      whileBlocked: (act) => whileLocked(path, act),
    };
  },
};

export const SQLITE_AND_LOCAL: Backend = {
  name: "sqlite + local",
  store: SQLITE,
  batchEnv: (folder) => ({ BATCH_PROVIDER: "local", LOCAL_WORKDIR: join(folder, "local") }),
};

/** Each cluster has a database of its own. @param host where the workers find the emulator, if not where it is. */
export function onSpanner(emulator: SpannerEmulator, host = emulator.host): StoreBackend {
  return {
    async open() {
      const name = await emulator.createDatabase("migrated");
      const { project, instance, database } = storeOptions(name);
      return {
        env: {
          SPANNER_EMULATOR_HOST: host,
          DB_PROVIDER: "spanner",
          DB_PROJECT_ID: project,
          DB_INSTANCE: instance,
          DB_DATABASE: database,
        },
        handle: spannerStoreOf(name),
        // Spanner takes the locks of a transaction that stands still back, and so does the emulator.
        freeze: (worker) => worker.freeze(),
        async whileBlocked(act) {
          emulator.signal("SIGSTOP");
          try {
            await act();
          } finally {
            emulator.signal("SIGCONT");
          }
        },
      };
    },
  };
}

/** The settings of a worker at the double. */
export function gcpEnv(endpoint: string): Env {
  return {
    BATCH_PROVIDER: "gcp",
    BATCH_PROJECT_ID: "test-project",
    BATCH_REGION: "us-central1",
    BATCH_ENDPOINT: endpoint,
    BATCH_SERVICE_ACCOUNT: "jobs@test-project.iam.gserviceaccount.com",
  };
}

/**
 * Runs the cases that `define` defines on every backend: one emulator and one cloud for all of them. Without an emulator the
 * second half is skipped, and says so.
 *
 * @param define is told the backend's name as it defines, and asks for the backend itself when a case runs.
 */
export function describeOnBackends(define: (name: Backend["name"], backend: () => Backend) => void): void {
  describe(`on ${SQLITE_AND_LOCAL.name}`, () => define(SQLITE_AND_LOCAL.name, () => SQLITE_AND_LOCAL));

  const name = "gcp + spanner";
  describeOnSpanner(`on ${name}`, (emulator) => {
    let folder: string | undefined;
    let cloud: RemoteCloud | undefined;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "jennah-cloud-"));
      cloud = await startRemoteCloud(folder);
    });
    afterAll(async () => {
      await cloud?.stop();
      if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    });
    define(name, () => {
      if (cloud === undefined) throw new Error("the cloud is started before the first case");
      const { endpoint } = cloud;
      return { name, store: onSpanner(emulator()), batchEnv: () => gcpEnv(endpoint) };
    });
  });
}
