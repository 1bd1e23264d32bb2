import { integer, path, readSettings, withDefault } from "#pkg/config/index.ts";

/** How many workers the embedded cluster has. Three is the least that shows a takeover with a peer to spare. */
export const WORKERS = 3;

/** What can be set of the embedded cluster itself; everything else is passed on to its processes. */
export function readClusterSettings(env: NodeJS.ProcessEnv) {
  const settings = readSettings(
    {
      GATEWAY_PORT: withDefault(integer(1, 65535), 8080),
      /** Of the first worker; the others follow it. */
      WORKER_PORT: withDefault(integer(1, 65535 - WORKERS + 1), 8081),
      DB_PATH: withDefault(path(), ".jennah/jennah.db"),
      LOCAL_WORKDIR: withDefault(path(), ".jennah/local"),
    },
    env,
  );
  return {
    gatewayPort: settings.GATEWAY_PORT,
    workerPorts: Array.from({ length: WORKERS }, (_, index) => settings.WORKER_PORT + index),
    dbPath: settings.DB_PATH,
    workdir: settings.LOCAL_WORKDIR,
  };
}
