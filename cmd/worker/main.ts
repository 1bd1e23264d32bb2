import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { ConfigError, loadEnvFile } from "#pkg/config/index.ts";
import { ExitCode, StartupError } from "#pkg/errors/index.ts";
import { runProcess } from "#pkg/lifecycle/index.ts";
import { createLogger, LogFormat, type Logger, LogLevel } from "#pkg/log/index.ts";
import { createEngine, createWorker, defaultWorkerId, readWorkerSettings } from "#pkg/worker/index.ts";
import { chooseProviders, PROVIDERS } from "./choose-providers.ts";
import { chooseStore, STORES } from "./choose-store.ts";

/** `npm run worker`: one worker, from the environment. */
process.exitCode = await main(process.stdout.isTTY);

async function main(isTerminal: boolean): Promise<ExitCode> {
  // Until the settings say otherwise.
  const first = createLogger({
    level: LogLevel.Info,
    format: isTerminal ? LogFormat.Pretty : LogFormat.Json,
  });
  try {
    return await run(isTerminal);
  } catch (error) {
    if (error instanceof ConfigError) {
      tellFaults(first, error);
      return ExitCode.Config;
    }
    if (!(error instanceof StartupError)) throw error;
    first.error({}, error.message);
    return error.exitCode;
  }
}

/** @throws ConfigError before anything was touched, StartupError when what the settings name cannot be used. */
async function run(isTerminal: boolean): Promise<ExitCode> {
  loadEnvFile(process.env);
  const adapters = { BATCH_PROVIDER: PROVIDERS, DB_PROVIDER: STORES };
  const settings = readWorkerSettings(process.env, isTerminal, adapters);
  const log = createLogger({ level: settings.LOG_LEVEL, format: settings.LOG_FORMAT });
  const tools = { clock, entropy, log };
  const workerId =
    settings.WORKER_ID ?? (await defaultWorkerId({ env: process.env, hostname: hostname(), clock }));
  const store = await chooseStore(settings, tools);
  const providers = await chooseProviders(settings, tools);
  const identity = { workerId, instance: randomUUID(), version: release() };
  const worker = createWorker({
    ...tools,
    settings,
    workerId,
    store,
    providers,
    createEngine: (foundation) => createEngine({ ...tools, ...identity, settings, providers }, foundation),
  });
  return await runProcess({
    service: worker,
    clock,
    drainMs: settings.DRAIN_SECONDS,
    ended: worker.ended,
    log: log.child({ worker_id: workerId }),
  });
}

/** One line each, so that all of them can be mended at once. */
function tellFaults(log: Logger, error: ConfigError): void {
  const fields = error.cause === undefined ? {} : { err: error.cause };
  for (const fault of error.faults) log.error(fields, fault);
}

/** What runs here, as its manifest says. */
function release(): string {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return (manifest as { readonly version: string }).version;
}
