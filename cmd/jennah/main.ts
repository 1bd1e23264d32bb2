import { systemClock as clock, systemEntropy as entropy } from "#pkg/clock/index.ts";
import { ConfigError, loadEnvFile } from "#pkg/config/index.ts";
import { ExitCode, errorMessage, type StartupError } from "#pkg/errors/index.ts";
import { createService, runProcess, type Service, startPart } from "#pkg/lifecycle/index.ts";
import { assertPortsFree, createCluster } from "./cluster.ts";
import { HOST } from "./environments.ts";
import { assertWorkdirUsable, lockDatabase } from "./files.ts";
import { type ClusterSettings, readClusterSettings } from "./settings.ts";

/** `npm start`: an embedded cluster on this machine, for trying Jennah out and for developing against it. */
const DRAIN_MS = 40_000;
const READY_POLL_MS = 50;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

process.exitCode = await main();

async function main(): Promise<ExitCode> {
  let settings: ClusterSettings;
  try {
    loadEnvFile(process.env);
    settings = readClusterSettings(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    for (const fault of error.faults) say(`jennah: ${fault}`);
    return ExitCode.Config;
  }
  say(`Starting Jennah: a gateway and ${settings.workerPorts.length} workers on ${HOST}...`);
  const refused = Promise.withResolvers<never>();
  // While the cluster starts, its start fails for the same reason, and this is not awaited.
  refused.promise.catch(() => undefined);
  return runProcess({
    service: withBanner(settings, refused.reject),
    clock,
    drainMs: DRAIN_MS,
    ended: refused.promise,
    log: {
      info: (_, message) => say(`jennah: ${message}`),
      error: (fields, message) =>
        say(`jennah: ${message}${"err" in fields ? reasonOf(fields.err, message) : ""}`),
    },
  });
}

function reasonOf(error: unknown, message: string): string {
  const words = errorMessage(error);
  return words === message ? "" : `: ${words}`;
}

function withBanner(settings: ClusterSettings, onRefused: (error: StartupError) => void): Service {
  const refused = new AbortController();
  const cluster = createCluster({
    settings,
    env: process.env,
    clock,
    say: (line) => say(`jennah: ${line}`),
    onRefused(error) {
      refused.abort(error);
      onRefused(error);
    },
  });
  let unlock = () => {};
  return createService({
    name: "jennah",
    async start(signal) {
      await assertPortsFree(settings);
      unlock = lockDatabase(settings.dbPath);
      await assertWorkdirUsable(settings.workdir, { clock, entropy });
      await startPart(cluster, signal);
      const url = `http://${HOST}:${settings.gatewayPort}/ready`;
      await untilReady(url, AbortSignal.any([signal, refused.signal]));
      say(banner(settings));
    },
    drain: (signal) => cluster.drain(signal),
    async stop() {
      await cluster.stop();
      unlock();
    },
  });
}

async function untilReady(url: string, signal: AbortSignal): Promise<void> {
  for (;;) {
    const ready = await fetch(url, { signal }).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return;
    await clock.sleep(READY_POLL_MS, signal);
  }
}

function banner(settings: ClusterSettings): string {
  const call = `curl -X POST http://localhost:${settings.gatewayPort}/jennah.v1.DeploymentService`;
  const headers = "-H 'Content-Type: application/json' -H 'X-Tenant-Id: test-tenant'";
  return `
Jennah is ready.

  gateway   http://${HOST}:${settings.gatewayPort}
  workers   ${settings.workerPorts.map((port) => `http://${HOST}:${port}`).join("  ")}
  store     ${settings.dbPath}
  jobs      ${settings.workdir}

Submit a job:

  ${call}/SubmitJob \\
    ${headers} \\
    -d '{"image_uri":"gcr.io/p/app:latest","entrypoint":"/bin/sh","commands":["-c","echo hello"],"env_vars":{"KEY":"value"}}'

Then look at it, with the job_id from the answer:

  ${call}/GetJob \\
    ${headers} -d '{"job_id":"..."}'

Ctrl-C stops everything; jobs that run go on, and are found again at the next start.
`;
}
