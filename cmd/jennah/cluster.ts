import { once } from "node:events";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import type { Clock } from "#pkg/clock/index.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import { createChildProcess, createGroup, createParallelGroup, type Service } from "#pkg/lifecycle/index.ts";
import { type readClusterSettings, WORKERS } from "./settings.ts";

/** The embedded cluster runs programs for whoever reaches it, so nobody else may. */
export const HOST = "127.0.0.1";
const RESTART_MS = 1_000;

/** Names that the embedded cluster sets itself, whatever the environment says. */
const OWN_NAMES = ["PORT", "WORKER_IPS", "K_SERVICE", "CLOUD_RUN_WORKER_POOL", "WORKER_ADVERTISE_URL"];

/** A gateway and its workers as child processes on loopback, over one SQLite file and the local provider. */
export function createCluster(
  settings: ReturnType<typeof readClusterSettings>,
  env: NodeJS.ProcessEnv,
  clock: Clock,
  say: (line: string) => void,
): Service {
  const base = Object.fromEntries(Object.entries(env).filter(([name]) => !OWN_NAMES.includes(name)));
  const workers = settings.workerPorts.map((port, index) => ({ name: `worker-${index + 1}`, port }));

  function child(name: string, command: "gateway" | "worker", own: Record<string, string>): Service {
    return createChildProcess({
      name,
      clock,
      module: fileURLToPath(new URL(`../${command}/main.ts`, import.meta.url)),
      env: { ...base, ...own },
      onDeath: (how) => say(`${name} died (${how}); it is started again in ${RESTART_MS / 1000} s`),
      restartMs: RESTART_MS,
    });
  }

  return createGroup("jennah", [
    createParallelGroup(
      "workers",
      workers.map(({ name, port }) =>
        child(name, "worker", {
          WORKER_ID: name,
          WORKER_HOST: HOST,
          WORKER_PORT: String(port),
          BATCH_PROVIDER: "local",
          DB_PROVIDER: "sqlite",
          DB_PATH: settings.dbPath,
          LOCAL_WORKDIR: settings.workdir,
        }),
      ),
    ),
    child("gateway", "gateway", {
      GATEWAY_HOST: HOST,
      GATEWAY_PORT: String(settings.gatewayPort),
      WORKER_URLS: workers.map(({ name, port }) => `${name}=http://${HOST}:${port}`).join(","),
    }),
  ]);
}

/** @throws StartupError that names the setting of the first port that something else listens on. */
export async function assertPortsFree(settings: ReturnType<typeof readClusterSettings>): Promise<void> {
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
