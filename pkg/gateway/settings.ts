import {
  alias,
  ConfigError,
  integer,
  list,
  oneOf,
  optional,
  readSettings,
  seconds,
  text,
  withDefault,
} from "#pkg/config/index.ts";
import { LogFormat, LogLevel } from "#pkg/log/index.ts";
import type { WorkerAddress } from "./workers.ts";

/** What the environment says, resolved. */
export interface GatewaySettings {
  readonly host: string;
  readonly port: number;
  readonly workers: readonly WorkerAddress[];
  readonly healthIntervalMs: number;
  readonly unaryTimeoutMs: number;
  readonly maxRequestBytes: number;
  readonly drainMs: number;
  readonly logLevel: LogLevel;
  /** Undefined: pretty on a terminal, JSON elsewhere. */
  readonly logFormat: LogFormat | undefined;
}

const DEFAULT_WORKER_PORT = 8081;
const WORKER_NAME = /^[A-Za-z0-9[][A-Za-z0-9._:[\]-]{0,127}$/;

/** @throws ConfigError with all faults at once. */
export function readGatewaySettings(env: Readonly<Record<string, string | undefined>>): GatewaySettings {
  const onCloudRun = (env.K_SERVICE ?? "").trim() !== "";
  const port = withDefault(integer(0, 65_535), 8080);
  // Cloud Run says by PORT where it sends requests, whatever else is set.
  const portTable = onCloudRun && (env.PORT ?? "").trim() !== "" ? { PORT: port } : {};
  const faults: string[] = [];
  const table = {
    GATEWAY_PORT: alias(port, "PORT"),
    GATEWAY_HOST: withDefault(text(), "0.0.0.0"),
    WORKER_URLS: alias(list(), "WORKER_IPS"),
    GATEWAY_HEALTH_INTERVAL_SECONDS: withDefault(seconds(0.05, 300), 2000),
    GATEWAY_UPSTREAM_TIMEOUT_SECONDS: withDefault(seconds(0.05, 3600), 60_000),
    MAX_REQUEST_BYTES: withDefault(integer(1024, 256 * 1024 * 1024), 1024 * 1024),
    // Cloud Run kills ten seconds after its SIGTERM.
    DRAIN_SECONDS: withDefault(seconds(0, 3600), onCloudRun ? 8000 : 30_000),
    LOG_LEVEL: withDefault(oneOf(...Object.values(LogLevel)), LogLevel.Info),
    LOG_FORMAT: optional(oneOf(...Object.values(LogFormat))),
  };
  const read = gather(faults, () => readSettings(table, env));
  const cloudRun: { PORT?: number } = gather(faults, () => readSettings(portTable, env)) ?? {};
  // Named even where another setting is at fault, so that one start tells them all.
  const urls =
    read?.WORKER_URLS ?? gather([], () => readSettings({ WORKER_URLS: table.WORKER_URLS }, env).WORKER_URLS);
  const workers = urls === undefined ? [] : parseWorkers(urls, faults);
  if (read === undefined || faults.length > 0) throw new ConfigError([...new Set(faults)]);
  return {
    host: read.GATEWAY_HOST,
    port: cloudRun.PORT ?? read.GATEWAY_PORT,
    workers,
    healthIntervalMs: read.GATEWAY_HEALTH_INTERVAL_SECONDS,
    unaryTimeoutMs: read.GATEWAY_UPSTREAM_TIMEOUT_SECONDS,
    maxRequestBytes: read.MAX_REQUEST_BYTES,
    drainMs: read.DRAIN_SECONDS,
    logLevel: read.LOG_LEVEL,
    logFormat: read.LOG_FORMAT,
  };
}

function gather<T>(faults: string[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults.push(...error.faults);
    return undefined;
  }
}

function parseWorkers(items: readonly string[], faults: string[]): WorkerAddress[] {
  const workers = new Map<string, WorkerAddress>();
  for (const item of items) {
    const parsed = parseWorker(item);
    const said = JSON.stringify(item);
    if (parsed === undefined) {
      faults.push(`WORKER_URLS: ${said} is no worker; write name=http://host:port, http://host:port or host`);
    } else if (workers.has(parsed.name)) {
      faults.push(
        `WORKER_URLS: the name ${JSON.stringify(parsed.name)} stands for two workers, ${said} among them`,
      );
    } else workers.set(parsed.name, parsed);
  }
  return [...workers.values()];
}

/** `name=url`, `url`, or a bare host with or without a port; one without a name is called as its address. */
function parseWorker(item: string): WorkerAddress | undefined {
  const [, givenName, address = item] = /^([^=/]*)=(.*)$/.exec(item) ?? [];
  const hasScheme = address.includes("://");
  const url = URL.parse(hasScheme ? address : `http://${address}`);
  if (url === null || url.protocol !== "http:" || url.hostname === "") return undefined;
  const isOrigin =
    url.pathname === "/" &&
    url.search === "" &&
    url.hash === "" &&
    url.username === "" &&
    url.password === "";
  if (!isOrigin) return undefined;
  // A bare host means the port that workers have by default; a url means what it says.
  if (!hasScheme && url.port === "" && !address.endsWith(":80")) url.port = String(DEFAULT_WORKER_PORT);
  const name = givenName ?? url.host;
  return WORKER_NAME.test(name) ? { name, url } : undefined;
}
