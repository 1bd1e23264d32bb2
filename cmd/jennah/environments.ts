import type { ClusterSettings } from "./settings.ts";

/** The embedded cluster runs programs for whoever reaches it, so nobody else may. */
export const HOST = "127.0.0.1";

/** Set for the whole machine, these would be another's; empty, since what is not set at all may come back with `.env`. */
const NOT_PASSED_ON = {
  PORT: "",
  WORKER_IPS: "",
  K_SERVICE: "",
  CLOUD_RUN_WORKER_POOL: "",
  WORKER_ADVERTISE_URL: "",
};

type Env = Readonly<Record<string, string | undefined>>;

/** What each process of the cluster finds in its environment: `env`, but for what the cluster sets itself. */
export function environments(
  settings: ClusterSettings,
  env: Env,
): { readonly gateway: Env; readonly workers: readonly { readonly name: string; readonly env: Env }[] } {
  const base = { ...env, ...NOT_PASSED_ON };
  const workers = settings.workerPorts.map((port, index) => ({ name: `worker-${index + 1}`, port }));
  return {
    gateway: {
      ...base,
      GATEWAY_HOST: HOST,
      GATEWAY_PORT: String(settings.gatewayPort),
      WORKER_URLS: workers.map(({ name, port }) => `${name}=http://${HOST}:${port}`).join(","),
    },
    workers: workers.map(({ name, port }) => ({
      name,
      env: {
        ...base,
        WORKER_ID: name,
        WORKER_HOST: HOST,
        WORKER_PORT: String(port),
        BATCH_PROVIDER: "local",
        DB_PROVIDER: "sqlite",
        DB_PATH: settings.dbPath,
        LOCAL_WORKDIR: settings.workdir,
      },
    })),
  };
}
