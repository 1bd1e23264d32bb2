import {
  alias,
  ConfigError,
  gatherFaults,
  holdsCredentials,
  integer,
  list,
  oneOf,
  optional,
  quoted,
  type Reader,
  readSettings,
  type SettingsOf,
  seconds,
  text,
  withDefault,
} from "#pkg/config/index.ts";
import { LogFormat, LogLevel } from "#pkg/log/index.ts";
import type { WorkerAddress } from "./workers.ts";

/** What a worker's front door asks of whoever calls. */
export const WorkerAuth = {
  /** Nothing: workers are reached over a network that only the gateway is on. */
  None: "none",
  /** An ID token of Google's for its origin, as a private Cloud Run service does. */
  GoogleIdToken: "google-id-token",
} as const;
export type WorkerAuth = (typeof WorkerAuth)[keyof typeof WorkerAuth];

/** What the environment says, resolved. */
export interface GatewaySettings {
  readonly host: string;
  readonly port: number;
  readonly workers: readonly WorkerAddress[];
  readonly workerAuth: WorkerAuth;
  readonly metadataHost: string;
  readonly healthIntervalMs: number;
  readonly unaryTimeoutMs: number;
  readonly maxRequestBytes: number;
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  /** Undefined: pretty on a terminal, JSON elsewhere. */
  readonly logFormat: LogFormat | undefined;
}

export const DEFAULT_METADATA_HOST = "metadata.google.internal";
const DEFAULT_WORKER_PORT = 8081;
const NAMED = /^([^=/]*)=(.*)$/;
const WORKER_NAME = /^[A-Za-z0-9[][A-Za-z0-9._:[\]-]{0,127}$/;

/** @throws ConfigError with all faults at once. */
export function readGatewaySettings(env: Readonly<Record<string, string | undefined>>): GatewaySettings {
  const onCloudRun = (env.K_SERVICE ?? "").trim() !== "";
  const port = withDefault(integer(0, 65_535), 8080);
  // Cloud Run says by PORT where it sends requests, whatever else is set.
  const portTable = onCloudRun && (env.PORT ?? "").trim() !== "" ? { PORT: port } : {};
  const table = {
    GATEWAY_PORT: alias(port, "PORT"),
    GATEWAY_HOST: withDefault(text(), "0.0.0.0"),
    WORKER_URLS: alias(list(), "WORKER_IPS"),
    WORKER_AUTH: withDefault(oneOf(...Object.values(WorkerAuth)), WorkerAuth.None),
    // The name under which Google's own clients know it too.
    GCE_METADATA_HOST: withDefault(text(), DEFAULT_METADATA_HOST),
    GATEWAY_HEALTH_INTERVAL_SECONDS: withDefault(seconds(0.05, 300), 2000),
    GATEWAY_UPSTREAM_TIMEOUT_SECONDS: withDefault(seconds(0.05, 3600), 60_000),
    MAX_REQUEST_BYTES: withDefault(integer(1024, 256 * 1024 * 1024), 1024 * 1024),
    // Cloud Run kills ten seconds after its SIGTERM.
    DRAIN_SECONDS: withDefault(seconds(0, 3600), onCloudRun ? 8000 : 30_000),
    LOG_LEVEL: withDefault(oneOf(...Object.values(LogLevel)), LogLevel.Info),
    LOG_FORMAT: optional(oneOf(...Object.values(LogFormat))),
  };
  const faults: string[] = [];
  const read: Partial<SettingsOf<typeof table>> = {};
  for (const [name, reader] of Object.entries(table)) {
    // One at a time, so that a fault in one does not keep what depends on others from being checked.
    gatherFaults(faults, () => Object.assign(read, readSettings({ [name]: reader as Reader<unknown> }, env)));
  }
  const cloudRun: { PORT?: number } = gatherFaults(faults, () => readSettings(portTable, env)) ?? {};
  const workers = parseWorkers(read.WORKER_URLS ?? [], faults);
  faults.push(...faultsBetween(read, workers));
  if (faults.length > 0) throw new ConfigError([...new Set(faults)]);
  const whole = read as SettingsOf<typeof table>;
  return {
    host: whole.GATEWAY_HOST,
    port: cloudRun.PORT ?? whole.GATEWAY_PORT,
    workers,
    workerAuth: whole.WORKER_AUTH,
    metadataHost: whole.GCE_METADATA_HOST,
    healthIntervalMs: whole.GATEWAY_HEALTH_INTERVAL_SECONDS,
    unaryTimeoutMs: whole.GATEWAY_UPSTREAM_TIMEOUT_SECONDS,
    maxRequestBytes: whole.MAX_REQUEST_BYTES,
    drainMs: whole.DRAIN_SECONDS,
    logLevel: whole.LOG_LEVEL,
    logFormat: whole.LOG_FORMAT,
  };
}

function faultsBetween(
  read: { readonly WORKER_AUTH?: WorkerAuth; readonly GCE_METADATA_HOST?: string },
  workers: readonly WorkerAddress[],
): string[] {
  const faults: string[] = [];
  const { WORKER_AUTH: auth, GCE_METADATA_HOST: host } = read;
  if (host !== undefined && (/[/?#@\\]/.test(host) || URL.parse(`http://${host}`) === null)) {
    faults.push(`GCE_METADATA_HOST: must be a host or host:port, not ${quoted(host)}`);
  }
  if (auth !== WorkerAuth.GoogleIdToken) return faults;
  // Who reads the token on its way can call the worker with it for as long as it lasts.
  for (const { url } of workers.filter((worker) => !isSafeForTokens(worker.url))) {
    faults.push(
      `WORKER_URLS: WORKER_AUTH=${auth} sends a token, and ${url.origin} would get it in the clear; write https`,
    );
  }
  return faults;
}

function isSafeForTokens({ protocol, hostname }: URL): boolean {
  return protocol === "https:" || /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/.test(hostname);
}

function parseWorkers(items: readonly string[], faults: string[]): WorkerAddress[] {
  const workers = new Map<string, WorkerAddress>();
  const areSecret = items.some((item) => item.includes("@"));
  for (const [index, item] of items.entries()) {
    const parsed = parseWorker(item);
    // A comma in a password splits it into items, of which the last alone has the @.
    const said = areSecret && !item.includes("@") ? `item ${index + 1}` : quoted(item);
    if (holdsCredentials(urlOf(item))) {
      faults.push(
        `WORKER_URLS: ${said} holds credentials (what stands before the @), and none can be sent to a worker that way; leave them out`,
      );
    } else if (parsed === undefined) {
      faults.push(
        `WORKER_URLS: ${said} is no worker; write name=https://host, name=http://host:port, http://host:port or host`,
      );
    } else if (workers.has(parsed.name)) {
      faults.push(
        `WORKER_URLS: the name ${JSON.stringify(parsed.name)} stands for two workers, ${said} among them`,
      );
    } else workers.set(parsed.name, parsed);
  }
  return [...workers.values()];
}

function urlOf(item: string): string {
  const [, , address = item] = NAMED.exec(item) ?? [];
  return address.includes("://") ? address : `http://${address}`;
}

/** `name=url`, `url`, or a bare host with or without a port; one without a name is called as its address. */
function parseWorker(item: string): WorkerAddress | undefined {
  const [, givenName, address = item] = NAMED.exec(item) ?? [];
  const hasScheme = address.includes("://");
  const url = URL.parse(urlOf(item));
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") return undefined;
  const isOrigin = url.pathname === "/" && url.search === "" && url.hash === "";
  if (!isOrigin) return undefined;
  // A bare host means the port that workers have by default; a url means what it says.
  if (!hasScheme && url.port === "" && !address.endsWith(":80")) url.port = String(DEFAULT_WORKER_PORT);
  const name = givenName ?? url.host;
  return WORKER_NAME.test(name) ? { name, url } : undefined;
}
