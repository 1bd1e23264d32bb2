import { request } from "node:http";
import { type Clock, withTimeout } from "#pkg/clock/index.ts";
import { ConfigError } from "#pkg/config/index.ts";

/** How much of the metadata server's long instance id goes into a name: its end is where instances differ. */
const TAIL_CHARACTERS = 12;
const METADATA_TIMEOUT_MS = 2000;
const MAX_ID_CHARACTERS = 64;
const WORKER_ID = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export interface WorkerIdSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the machine calls itself. */
  readonly hostname: string;
  readonly clock: Clock;
}

/** What is wrong with a `WORKER_ID`, or undefined when it is one. */
export function workerIdFault(id: string): string | undefined {
  if (id.length <= MAX_ID_CHARACTERS && WORKER_ID.test(id)) return undefined;
  return `must be 1 to ${MAX_ID_CHARACTERS} of A-Z a-z 0-9 . _ - and begin with a letter or digit`;
}

/** The name that Cloud Run gave what runs here; undefined elsewhere. */
export function cloudRunName(env: WorkerIdSources["env"]): string | undefined {
  return env.K_SERVICE || env.CLOUD_RUN_WORKER_POOL || undefined;
}

/**
 * The worker id of a process whose `WORKER_ID` is not set: the host name, or on Cloud Run, where every instance is called
 * `localhost`, the service's name and the tail of the instance's id.
 * @throws ConfigError when there is nothing that tells this worker from others.
 */
export async function defaultWorkerId(sources: WorkerIdSources): Promise<string> {
  const service = cloudRunName(sources.env);
  if (service !== undefined)
    return checked(`${service}-${(await instanceId(sources)).slice(-TAIL_CHARACTERS)}`);
  const { hostname } = sources;
  if (hostname === "" || hostname === "localhost") {
    throw new ConfigError(["WORKER_ID: is required where the host name is empty or localhost"]);
  }
  return checked(hostname);
}

function checked(id: string): string {
  const fault = workerIdFault(id);
  if (fault === undefined) return id;
  throw new ConfigError([
    `WORKER_ID: is required, since its default ${JSON.stringify(id)} cannot be one: it ${fault}`,
  ]);
}

async function instanceId({ env, clock }: WorkerIdSources): Promise<string> {
  const host = env.GCE_METADATA_HOST || "metadata.google.internal";
  const late = () => new Error(`no answer within ${METADATA_TIMEOUT_MS} ms`);
  try {
    const id = await withTimeout(clock, METADATA_TIMEOUT_MS, late, (signal) => fetchInstanceId(host, signal));
    if (/^[0-9a-f]+$/.test(id)) return id;
    throw new Error("the answer is no instance id");
  } catch (error) {
    throw new ConfigError(
      [`WORKER_ID: is required, since the metadata server at ${host} did not tell this instance's id`],
      { cause: error },
    );
  }
}

function fetchInstanceId(host: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const url = `http://${host}/computeMetadata/v1/instance/id`;
    const asked = request(
      url,
      { headers: { "Metadata-Flavor": "Google" }, signal, agent: false },
      (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("error", reject);
        response.on("end", () => {
          if (response.statusCode === 200) resolve(text.trim());
          else reject(new Error(`HTTP status ${response.statusCode}`));
        });
      },
    );
    asked.on("error", (error) => reject(signal.aborted ? signal.reason : error));
    asked.end();
  });
}
