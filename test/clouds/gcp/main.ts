import { createServer, type IncomingMessage } from "node:http";
import { json } from "node:stream/consumers";
import { systemClock } from "#pkg/clock/index.ts";
import { createPlayRunner, createSpawnRunner } from "./runners.ts";
import { type GcpCloud, startGcpCloud } from "./server.ts";

/**
 * The double as a process of its own, so that the processes around it can be killed. It prints one line of JSON,
 * `{"endpoint", "control"}`, and then does what `POST <control>/<act>` says, with the arguments as a JSON array;
 * `GET <control>/` tells what became of it (`RemoteState` of `remote.ts`). It ends on SIGTERM.
 *
 * From the environment: `GCP_PROJECT`, `GCP_REGION`; `GCP_SPAWN_IN`, a folder: programs are run there, else they are played.
 */
const {
  GCP_PROJECT: projectId = "test-project",
  GCP_REGION: region = "us-central1",
  GCP_SPAWN_IN,
} = process.env;
const ACTS = [
  "misbehave",
  "deny",
  "refuseAll",
  "hold",
  "release",
  "delay",
  "fail",
  "vanish",
  "hide",
  "lagLists",
  "letGo",
] as const;

const cloud = await startGcpCloud({
  clock: systemClock,
  projectId,
  region,
  runner: GCP_SPAWN_IN ? createSpawnRunner(GCP_SPAWN_IN) : createPlayRunner(systemClock),
});

const control = createServer((request, response) => {
  answer(request).then(
    (body) => response.end(JSON.stringify(body ?? {})),
    (error: unknown) => {
      response.statusCode = 400;
      response.end(String(error));
    },
  );
});
control.listen(0, "127.0.0.1", () => {
  const address = control.address();
  const port = typeof address === "object" ? address?.port : undefined;
  process.stdout.write(
    `${JSON.stringify({ endpoint: cloud.endpoint, control: `http://127.0.0.1:${port}` })}\n`,
  );
});
process.once("SIGTERM", () => {
  control.close();
  control.closeAllConnections();
  void cloud.stop();
});

async function answer(request: IncomingMessage): Promise<unknown> {
  if (request.method === "GET") return stateOf(cloud);
  const act = ACTS.find((each) => request.url === `/${each}`);
  if (act === undefined) throw new Error(`the acts are ${ACTS.join(", ")}`);
  const given: unknown = await json(request);
  if (!Array.isArray(given)) throw new Error("the arguments must be an array");
  return (cloud[act] as (...args: unknown[]) => unknown)(...given);
}

function stateOf({ jobs, calls, peaks, made, stalled }: GcpCloud) {
  const counts: Record<string, number> = {};
  for (const { method } of calls) counts[method] = (counts[method] ?? 0) + 1;
  const names = calls
    .filter(({ method }) => method === "CreateJob")
    .map(({ request }) => (request as { readonly jobId: string }).jobId);
  return {
    jobs,
    peaks,
    stalled,
    calls: counts,
    made: Object.fromEntries([...new Set(names)].map((id) => [id, made(id)])),
  };
}
