import { ConfigError, gatherFaults, integer, path, readSettings, withDefault } from "#pkg/config/index.ts";
// By file: their packages would load both servers into this process, which runs neither.
import { readGatewaySettings } from "#pkg/gateway/settings.ts";
import { readWorkerSettings } from "#pkg/worker/settings.ts";
import { environments } from "./environments.ts";

/** How many workers the embedded cluster has. Three is the least that shows a takeover with a peer to spare. */
export const WORKERS = 3;

/** What can be set of the embedded cluster itself; everything else is passed on to its processes. */
export interface ClusterSettings {
  readonly gatewayPort: number;
  readonly workerPorts: readonly number[];
  readonly dbPath: string;
  readonly workdir: string;
}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Reads them, and has its processes' settings read as they will read them, so that a fault is told once, not by each.
 * @throws ConfigError with every fault.
 */
export function readClusterSettings(env: Env): ClusterSettings {
  const faults: string[] = [];
  const ports = gatherFaults(faults, () => readPorts(env));
  const files = gatherFaults(faults, () => readFiles(env));
  // A wrong one is told already; its default stands in for it, since the processes are given something right.
  const settings = { ...(ports ?? readPorts({})), ...(files ?? readFiles({})) };
  const { gateway, workers } = environments(settings, env);
  gatherFaults(faults, () => readGatewaySettings(gateway));
  for (const worker of workers) gatherFaults(faults, () => readWorkerSettings(worker.env, false));
  // Several of them read LOG_LEVEL, for one, and say the same of it.
  if (faults.length > 0) throw new ConfigError([...new Set(faults)]);
  return settings;
}

function readPorts(env: Env): Pick<ClusterSettings, "gatewayPort" | "workerPorts"> {
  const { GATEWAY_PORT, WORKER_PORT } = readSettings(
    {
      GATEWAY_PORT: withDefault(integer(1, 65535), 8080),
      /** Of the first worker; the others follow it. */
      WORKER_PORT: withDefault(integer(1, 65535 - WORKERS + 1), 8081),
    },
    env,
  );
  const workerPorts = Array.from({ length: WORKERS }, (_, index) => WORKER_PORT + index);
  if (workerPorts.includes(GATEWAY_PORT)) {
    throw new ConfigError([
      `GATEWAY_PORT: must not be ${GATEWAY_PORT}, one of the ${WORKERS} workers' ports from WORKER_PORT=${WORKER_PORT} on; change one of the two`,
    ]);
  }
  return { gatewayPort: GATEWAY_PORT, workerPorts };
}

function readFiles(env: Env): Pick<ClusterSettings, "dbPath" | "workdir"> {
  const { DB_PATH, LOCAL_WORKDIR } = readSettings(
    {
      DB_PATH: withDefault(path(), ".jennah/jennah.db"),
      LOCAL_WORKDIR: withDefault(path(), ".jennah/local"),
    },
    env,
  );
  return { dbPath: DB_PATH, workdir: LOCAL_WORKDIR };
}
