import type { BatchCapabilities, BatchProvider, LookOutcome, Spend } from "#pkg/batch/index.ts";
import type { Clock } from "#pkg/clock/index.ts";
import { errorMessage, InvariantError } from "#pkg/errors/index.ts";
import { createService, type Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { type Connection, connect, metered } from "./connection.ts";
import { createBatchJob, FOREIGN } from "./create.ts";
import { createMemory, createReader, type Reader } from "./describe.ts";
import { asUnavailable } from "./faults.ts";
import { takeInventory } from "./inventory.ts";
import { isOf } from "./labels.ts";
import { type Location, targetOf } from "./names.ts";
import { stateOf } from "./observe.ts";
import { removeBatchJob } from "./remove.ts";
import { checkStart } from "./start-check.ts";
import { terminateBatchJob } from "./terminate.ts";
import { validateSpec } from "./validate.ts";

export interface GcpProviderOptions {
  /** `BATCH_PROJECT_ID`: the project's id or number. */
  readonly projectId: string;
  /** `BATCH_REGION`, such as `us-central1`. */
  readonly region: string;
  /** `BATCH_ENDPOINT`; undefined is Google's own. With plain http no credentials are sent. */
  readonly endpoint?: string | undefined;
  /** `BATCH_SERVICE_ACCOUNT`: runs jobs that name none. Default "": the project's Compute Engine account. */
  readonly serviceAccount?: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The API takes 6,000 changes and 15,000 reads a minute and region. One budget is for both here, so the lower of the two
 * bounds it, with a fifth left for workers that run ahead of it (`Spend`) and for people at the console.
 */
const MAX_CALLS_PER_SECOND = 80;

/** What a request that left may still do after its caller is gone: the deadline that it carries (`connection.ts`). */
const REQUEST_OUTLIVES_MS = 30_000;

/** Batch jobs of one project and region. Nothing is connected before `start`. README.md has the tables. */
export function createGcpProvider(options: GcpProviderOptions): BatchProvider & Service {
  const { clock, log } = options;
  const location: Location = { projectId: options.projectId, region: options.region };
  const surroundings = { region: options.region, serviceAccount: options.serviceAccount ?? "" };
  const memory = createMemory();
  let running: { readonly connection: Connection; readonly reader: Reader } | undefined;

  const service = createService({
    name: "gcp provider",
    async start(stopping) {
      try {
        const connection = await connect({ endpoint: options.endpoint, clock });
        running = { connection, reader: createReader(connection, location, { clock, log }, memory) };
        await checkStart({ ...running, location, clock }, stopping);
      } catch (error) {
        // Whoever runs the service logs the whole of it. A start that was stopped is no failure.
        if (!stopping.aborted)
          log.error({ message: errorMessage(error) }, "Failed to create GCP Batch client");
        throw error;
      }
      if (surroundings.serviceAccount === "") {
        log.warn(
          {},
          "BATCH_SERVICE_ACCOUNT is not set: jobs that name none run as the project's Compute Engine account",
        );
      }
    },
    async stop() {
      await running?.connection.close();
    },
  });

  /** What one call of the port works with. */
  function parts(spend?: Spend) {
    if (running === undefined) throw new InvariantError("the gcp provider was not started");
    const connection = metered(running.connection, spend);
    const reader = createReader(connection, location, { clock, log }, memory);
    return { connection, reader, location, surroundings };
  }

  const capabilities: BatchCapabilities = {
    createIsIdempotent: true,
    get maxDescribe() {
      return running?.reader.maxDescribe ?? 1;
    },
    maxConcurrentCreates: 32,
    maxCallsPerSecond: MAX_CALLS_PER_SECOND,
    requestOutlivesMs: REQUEST_OUTLIVES_MS,
  };

  async function look(
    request: Parameters<BatchProvider["look"]>[0],
    signal: AbortSignal,
    spend?: Spend,
  ): Promise<LookOutcome> {
    try {
      const job = await parts(spend).reader.get(request.batchJobId, signal);
      const state = job && stateOf(job);
      if (job === undefined || state === undefined) return { kind: "absent" };
      return isOf(job.labels, request) ? { kind: "found", state } : { kind: "foreign", message: FOREIGN };
    } catch (error) {
      throw asUnavailable(error);
    }
  }

  return {
    name: service.name,
    get state() {
      return service.state;
    },
    start: service.start,
    drain: service.drain,
    stop: service.stop,
    target: targetOf(location),
    capabilities,
    validate: validateSpec,
    create: (request, permit, spend) => createBatchJob(parts(spend), request, permit),
    look,
    describe: (batchJobIds, signal, spend) => parts(spend).reader.describe(batchJobIds, signal),
    terminate: (batchJobId, signal, spend) => terminateBatchJob(parts(spend), batchJobId, signal),
    remove: (batchJobId, permit, spend) => removeBatchJob(parts(spend), batchJobId, permit),
    inventory: (deploymentId, signal) => takeInventory(parts().reader, deploymentId, signal),
  };
}
