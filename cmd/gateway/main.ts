import { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import { systemClock } from "#pkg/clock/index.ts";
import { loadEnvFile } from "#pkg/config/index.ts";
import { ExitCode, errorMessage } from "#pkg/errors/index.ts";
import {
  createGateway,
  createRpcTable,
  type GatewaySettings,
  readGatewaySettings,
} from "#pkg/gateway/index.ts";
import { runProcess } from "#pkg/lifecycle/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";

/** Without an `idempotency_level`, since without a key two calls make two jobs; the minted job id makes a repeat safe. */
const REPEATABLE_BY_JOB_ID = new Set(["SubmitJob", "RetryJob"]);

function defaultFormat(): LogFormat {
  return process.stdout.isTTY ? LogFormat.Pretty : LogFormat.Json;
}

function run(settings: GatewaySettings): Promise<ExitCode> {
  const log = createLogger({ level: settings.logLevel, format: settings.logFormat ?? defaultFormat() });
  for (const { name, url } of settings.workers)
    log.info({ worker_id: name, url: url.origin }, "worker configured");
  const rpcs = createRpcTable([DeploymentService], REPEATABLE_BY_JOB_ID);
  const service = createGateway({ ...settings, clock: systemClock, log, rpcs });
  return runProcess({ service, clock: systemClock, drainMs: settings.drainMs, log });
}

function read(): GatewaySettings | undefined {
  try {
    loadEnvFile(process.env);
    return readGatewaySettings(process.env);
  } catch (error) {
    const log = createLogger({ level: LogLevel.Error, format: defaultFormat() });
    for (const fault of errorMessage(error).split("\n")) log.error({}, fault);
    return undefined;
  }
}

const settings = read();
process.exitCode = settings === undefined ? ExitCode.Config : await run(settings);
