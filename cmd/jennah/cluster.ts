import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Clock } from "#pkg/clock/index.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import {
  type ChildOptions,
  createChildProcess,
  createGroup,
  createParallelGroup,
  type Service,
} from "#pkg/lifecycle/index.ts";
import { environments, HOST } from "./environments.ts";
import { type ClusterSettings, WORKERS } from "./settings.ts";

const RESTART_MS = 1_000;

export interface ClusterOptions {
  readonly settings: ClusterSettings;
  readonly env: NodeJS.ProcessEnv;
  readonly clock: Clock;
  /** Told what becomes of its processes. */
  readonly say: (line: string) => void;
  /** Told of a process that has to end for good; the cluster is not whole any more then, and should end. */
  readonly onRefused: (error: StartupError) => void;
}

/** A gateway and its workers as child processes on loopback, over one SQLite file and the local provider. */
export function createCluster(options: ClusterOptions): Service {
  const { clock, say, onRefused } = options;
  const { gateway, workers } = environments(options.settings, options.env);

  function child(name: string, command: "gateway" | "worker", env: ChildOptions["env"]): Service {
    return createChildProcess({
      name,
      clock,
      module: fileURLToPath(new URL(`../${command}/main.ts`, import.meta.url)),
      env,
      onDeath: (how) => say(`${name} died (${how}); it is started again in ${RESTART_MS / 1000} s`),
      onRefused,
      restartMs: RESTART_MS,
    });
  }

  return createGroup("jennah", [
    createParallelGroup(
      "workers",
      workers.map(({ name, env }) => child(name, "worker", env)),
    ),
    child("gateway", "gateway", gateway),
  ]);
}

/** @throws StartupError that names the setting of the first port that something else listens on. */
export async function assertPortsFree(settings: ClusterSettings): Promise<void> {
  await assertFree("GATEWAY_PORT", settings.gatewayPort);
  for (const port of settings.workerPorts) await assertFree("WORKER_PORT", port);
}

async function assertFree(setting: string, port: number): Promise<void> {
  const server = createServer();
  try {
    server.listen(port, HOST);
    await once(server, "listening");
  } catch (error) {
    const how =
      setting === "WORKER_PORT"
        ? `set WORKER_PORT to the first of ${WORKERS} free ports`
        : `set ${setting} to a free port`;
    throw new StartupError(`${HOST}:${port} is taken; ${how}`, ExitCode.Failed, { cause: error });
  } finally {
    server.close();
  }
}
