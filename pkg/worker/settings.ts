import {
  alias,
  boolean,
  ConfigError,
  holdsCredentials,
  integer,
  list,
  oneOf,
  optional,
  path,
  quoted,
  type Reader,
  readSettings,
  required,
  type SettingsOf,
  seconds,
  secret,
  text,
  withDefault,
} from "#pkg/config/index.ts";
import { secretsKey } from "#pkg/job/index.ts";
import { LogFormat, LogLevel } from "#pkg/log/index.ts";
import { OrphanPolicy } from "#pkg/tracking/index.ts";
import { isClearOnlyOnLoopback, isLoopbackAddress } from "./loopback.ts";
import { cloudRunName, workerIdFault } from "./worker-id.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** The longest that seconds may be: what a 32-bit timer holds, rounded down to days. */
const MAX_SECONDS = 24 * 24 * 3600;
/** `SETTLE_SECONDS` beyond the lease TTL, by default; AWS honours a signature for 900 s. */
const SETTLE_BEYOND_TTL_MS = { gcp: 30_000, aws: 930_000, azure: 30_000, local: 30_000 } as const;

/**
 * What each provider says of itself (`requestOutlivesMs` of its capabilities), known here before its client is loaded. A
 * provider that says more is still refused when the worker starts.
 */
const REQUEST_OUTLIVES_MS = { gcp: 30_000, aws: 930_000, azure: 30_000, local: 5_000 } as const;

/** The worker's settings (section 8 of the design), each by the name of its environment variable. Durations are milliseconds. */
function settingsTable(env: Env, isTerminal: boolean) {
  const provider = env.BATCH_PROVIDER?.trim();
  const database = env.DB_PROVIDER?.trim();
  const [isGcp, isAws, isAzure] = [provider === "gcp", provider === "aws", provider === "azure"];
  const isLocal = provider === "local";
  const isOnCloudRun = cloudRunName(env) !== undefined;
  return {
    WORKER_PORT: withDefault(alias(integer(0, 65535), "PORT"), 8081),
    WORKER_HOST: withDefault(text(), isLocal ? "127.0.0.1" : "0.0.0.0"),
    WORKER_ADVERTISE_URL: optional(checked(text(), urlFault)),
    WORKER_ID: optional(checked(text(), workerIdFault)),
    WORKER_LEASE_TTL_SECONDS: withDefault(seconds(1, 3600), 30_000),
    WORKER_CLAIM_INTERVAL_SECONDS: withDefault(seconds(0.1, 3600), 5_000),
    WORKER_MAX_ACTIVE_JOBS: withDefault(integer(1, 1_000_000), 20_000),

    BATCH_PROVIDER: oneOf("gcp", "aws", "azure", "local"),
    BATCH_REGION: required(checked(text(), segmentFault), isGcp || isAws),
    BATCH_PROJECT_ID: required(checked(text(), segmentFault), isGcp),
    AWS_ACCOUNT_ID: required(
      checked(text(), (id) => (/^\d{12}$/.test(id) ? undefined : "must be 12 digits")),
      isAws,
    ),
    AWS_JOB_QUEUE: required(checked(text(), segmentFault), isAws),
    AZURE_SUBSCRIPTION_ID: required(text(), isAzure),
    AZURE_RESOURCE_GROUP: required(text(), isAzure),
    AZURE_BATCH_ACCOUNT_URL: required(checked(text(), urlFault), isAzure),
    AZURE_BATCH_POOL_ID: required(checked(text(), segmentFault), isAzure),
    BATCH_ENDPOINT: optional(checked(text(), endpointFault)),
    BATCH_SERVICE_ACCOUNT: withDefault(text(), ""),
    ALLOWED_SERVICE_ACCOUNTS: withDefault(list(), []),
    ORPHAN_POLICY: withDefault(oneOf(OrphanPolicy.Report, OrphanPolicy.Cancel), OrphanPolicy.Report),

    DB_PROVIDER: oneOf("sqlite", "postgres", "spanner", "dynamodb"),
    DB_PATH: withDefault(path(), ".jennah/jennah.db"),
    // Holds a password as a rule.
    DATABASE_URL: secret(required(text(), database === "postgres")),
    DB_PROJECT_ID: required(text(), database === "spanner"),
    DB_INSTANCE: required(text(), database === "spanner"),
    DB_DATABASE: required(text(), database === "spanner"),
    DB_TABLE_PREFIX: withDefault(text(), "jennah"),
    DB_REGION: optional(text()),
    DB_ENDPOINT: optional(checked(text(), endpointFault)),

    SUBMIT_WAIT_SECONDS: withDefault(seconds(0, 3600), 10_000),
    SETTLE_SECONDS: optional(seconds(0, MAX_SECONDS)),
    LOCAL_RUNTIME: withDefault(oneOf("process"), "process"),
    LOCAL_WORKDIR: withDefault(path(), ".jennah/local"),
    LOCAL_ALLOW_REMOTE: withDefault(boolean(), false),
    SECRETS_KEY: optional(secretsKey()),

    MAX_REQUEST_BYTES: withDefault(integer(1024, 64 * 1024 * 1024), 1_048_576),
    DRAIN_SECONDS: withDefault(seconds(0, 3600), isOnCloudRun ? 8_000 : 30_000),
    LOG_LEVEL: withDefault(
      oneOf(LogLevel.Debug, LogLevel.Info, LogLevel.Warn, LogLevel.Error, LogLevel.Silent),
      LogLevel.Info,
    ),
    LOG_FORMAT: withDefault(
      oneOf(LogFormat.Json, LogFormat.Pretty),
      isTerminal ? LogFormat.Pretty : LogFormat.Json,
    ),
  };
}

type Table = ReturnType<typeof settingsTable>;

/** Durations are milliseconds, whatever the name says; `SETTLE_SECONDS` has its default filled in. */
export type WorkerSettings = Omit<SettingsOf<Table>, "SETTLE_SECONDS"> & { readonly SETTLE_SECONDS: number };

/** The values of two settings that whoever puts the worker together has adapters for. */
export interface Adapters {
  readonly BATCH_PROVIDER: readonly string[];
  readonly DB_PROVIDER: readonly string[];
}

/**
 * Reads the worker's settings.
 * @param isTerminal whether standard output is one; decides the default of `LOG_FORMAT`.
 * @param adapters refuses all others; undefined: none is refused.
 * @throws ConfigError with every fault, those between settings included.
 */
export function readWorkerSettings(given: Env, isTerminal: boolean, adapters?: Adapters): WorkerSettings {
  // A Cloud Run service is told by PORT where it will be called, whatever else is set.
  const env = given.K_SERVICE && given.PORT ? { ...given, WORKER_PORT: undefined } : given;
  const faults: string[] = [];
  const read: Record<string, unknown> = {};
  for (const [name, reader] of Object.entries(settingsTable(env, isTerminal))) {
    // One at a time, so that a fault in one does not keep what depends on others from being checked.
    try {
      Object.assign(read, readSettings({ [name]: reader as Reader<unknown> }, env));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(...error.faults);
    }
  }
  const settings = read as Partial<SettingsOf<Table>>;
  faults.push(...faultsBetween(settings, env), ...absentAdapters(settings, adapters));
  if (faults.length > 0) throw new ConfigError(faults);
  const whole = settings as SettingsOf<Table>;
  const settleMs =
    whole.SETTLE_SECONDS ?? whole.WORKER_LEASE_TTL_SECONDS + SETTLE_BEYOND_TTL_MS[whole.BATCH_PROVIDER];
  return { ...whole, SETTLE_SECONDS: settleMs };
}

/**
 * Checks `SETTLE_SECONDS` against what the provider says of itself: a look that finds nothing must come after the last
 * request that could still make something.
 * @throws ConfigError
 */
export function checkSettle(
  settings: Pick<WorkerSettings, "SETTLE_SECONDS" | "WORKER_LEASE_TTL_SECONDS">,
  requestOutlivesMs: number,
): void {
  const { WORKER_LEASE_TTL_SECONDS: ttlMs, SETTLE_SECONDS: settleMs } = settings;
  const fault = settleFault(settleMs, ttlMs, requestOutlivesMs);
  if (fault !== undefined) throw new ConfigError([fault]);
}

function settleFault(settleMs: number, ttlMs: number, requestOutlivesMs: number): string | undefined {
  const leastMs = ttlMs + requestOutlivesMs;
  if (settleMs >= leastMs) return undefined;
  return `SETTLE_SECONDS: must be at least ${leastMs / 1000} (the lease TTL and the ${requestOutlivesMs / 1000} s that a request may outlive its caller), not ${settleMs / 1000}`;
}

function absentAdapters(settings: Partial<SettingsOf<Table>>, adapters: Adapters | undefined): string[] {
  return (["BATCH_PROVIDER", "DB_PROVIDER"] as const).flatMap((name) => {
    const [value, present] = [settings[name], adapters?.[name]];
    if (value === undefined || present === undefined || present.includes(value)) return [];
    return `${name}: the adapter for ${value} is not in this release yet; ${present.join(" and ")} are`;
  });
}

function faultsBetween(settings: Partial<SettingsOf<Table>>, env: Env): string[] {
  const faults: string[] = [];
  const { BATCH_PROVIDER, DB_PROVIDER, WORKER_HOST, LOCAL_ALLOW_REMOTE } = settings;
  if (DB_PROVIDER === "sqlite" && cloudRunName(env) !== undefined) {
    faults.push(
      "DB_PROVIDER: sqlite keeps its file on this machine, and Cloud Run keeps no files: choose another",
    );
  }
  const isExposed = WORKER_HOST !== undefined && !isLoopbackAddress(WORKER_HOST);
  if (BATCH_PROVIDER === "local" && isExposed && LOCAL_ALLOW_REMOTE === false) {
    faults.push(
      `WORKER_HOST: the local provider lets every caller run programs here, so it listens on loopback only, not on ${quoted(WORKER_HOST)}; LOCAL_ALLOW_REMOTE=true allows it`,
    );
  }
  const { WORKER_LEASE_TTL_SECONDS: ttlMs, WORKER_CLAIM_INTERVAL_SECONDS: claimMs } = settings;
  if (ttlMs !== undefined && claimMs !== undefined && claimMs > ttlMs) {
    faults.push("WORKER_CLAIM_INTERVAL_SECONDS: must not be above WORKER_LEASE_TTL_SECONDS");
  }
  const { SETTLE_SECONDS: settleMs } = settings;
  if (settleMs !== undefined && ttlMs !== undefined && BATCH_PROVIDER !== undefined) {
    const fault = settleFault(settleMs, ttlMs, REQUEST_OUTLIVES_MS[BATCH_PROVIDER]);
    if (fault !== undefined) faults.push(fault);
  }
  return faults;
}

/** The same setting, with a check of its value; the check's words never hold the value of a secret. */
function checked(inner: Reader<string>, faultOf: (value: string) => string | undefined): Reader<string> {
  const schema = inner.schema.check((context) => {
    const message = faultOf(context.value);
    if (message !== undefined) context.issues.push({ code: "custom", message, input: context.value });
  });
  return { ...inner, schema };
}

function urlFault(value: string): string | undefined {
  // A URL is told to others and logged, and what stands in it is sent to nobody.
  if (holdsCredentials(value)) {
    return "must be an http or https URL without credentials (what stands before the @)";
  }
  return /^https?:$/.test(URL.parse(value)?.protocol ?? "") ? undefined : "must be an http or https URL";
}

function endpointFault(value: string): string | undefined {
  const fault = urlFault(value);
  if (fault !== undefined) return fault;
  return isClearOnlyOnLoopback(value) ? undefined : "must be https, or http to a loopback address";
}

/** One part of a target between two slashes. */
function segmentFault(value: string): string | undefined {
  return /^[A-Za-z0-9][A-Za-z0-9._:-]*$/.test(value)
    ? undefined
    : "must be a name without white space or slashes";
}
