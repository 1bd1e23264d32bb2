import { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import type { BatchProvider } from "#pkg/batch/index.ts";
import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { errorMessage, InvariantError, UnavailableError } from "#pkg/errors/index.ts";
import { createService, type Service, startPart } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { createRpcHandler } from "#pkg/rpc/index.ts";
import { createGatheredStore, type JobStore } from "#pkg/store/index.ts";
import type { Api } from "./api.ts";
import { createDeploymentService } from "./deployment-service.ts";
import { createListener } from "./listener.ts";
import { createMetrics } from "./metrics.ts";
import { openKeyring } from "./open-keyring.ts";
import type { Engine, Foundation } from "./ports.ts";
import { createReadiness, NotReady } from "./readiness.ts";
import { checkSettle, type WorkerSettings } from "./settings.ts";
import { createSideRoutes } from "./side-routes.ts";

export interface WorkerOptions {
  readonly settings: WorkerSettings;
  /** `WORKER_ID`, or its default (`defaultWorkerId`). */
  readonly workerId: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly log: Logger;
  readonly store: JobStore;
  /** One for each target that this worker serves; the first is the target of jobs that name none. */
  readonly providers: readonly BatchProvider[];
  /** Puts ownership, dispatch and tracking together; called once, when the store is open and before the providers start. */
  readonly createEngine: (foundation: Foundation) => Engine;
}

/** A worker that serves the API. */
export interface Worker extends Service {
  /** Where it listens. @throws InvariantError before it does. */
  address(): { readonly host: string; readonly port: number };
  /** Never resolves; rejects with a `StartupError` when this worker must leave: its id is in use elsewhere. */
  readonly ended: Promise<void>;
}

export function createWorker(options: WorkerOptions): Worker {
  const { settings, workerId, clock, entropy, providers } = options;
  const log = options.log.child({ worker_id: workerId });
  const store = createGatheredStore(options.store);
  const draining = new AbortController();
  const started = Promise.withResolvers<void>();
  // Calls await it, if there are any.
  started.promise.catch(() => undefined);
  let engine: Engine | undefined;
  let api: Api | undefined;
  let waitsFor: NotReady | undefined = NotReady.Starting;
  const undo: (() => Promise<void>)[] = [];

  const metrics = createMetrics({
    activeJobs: () => engine?.dispatcher.activeJobs ?? 0,
    holdsTerm: () => engine?.ownership.owner !== undefined,
  });
  const readiness = createReadiness({
    clock,
    waitsFor: () => waitsFor,
    isDraining: () => draining.signal.aborted,
    owner: () => engine?.ownership.owner,
    ping: () => store.ping(),
  });
  const handler = createRpcHandler({
    clock,
    log,
    maxRequestBytes: settings.MAX_REQUEST_BYTES,
    routes: (router) => router.service(DeploymentService, createDeploymentService(startedApi)),
    // Calls that come while the worker starts wait: a moment later they are served, while a refusal would be final.
    gate: () => started.promise,
    onEnd: metrics.observeCall,
    fallback: createSideRoutes({ metrics, readiness, log }),
  });
  const port = createListener({ settings, clock, handler });
  const ended = Promise.withResolvers<void>();
  // Whoever runs the process awaits it; nobody has to.
  ended.promise.catch(() => undefined);

  function startedApi(): Api {
    if (api === undefined)
      throw new InvariantError("a call passed the gate of a worker that has not started");
    return api;
  }

  /** Starts a part and remembers to stop it, also when its start fails half-way. */
  async function begin(part: Pick<Service, "start" | "stop">, stopping: AbortSignal): Promise<void> {
    undo.push(() => part.stop());
    await startPart(part, stopping);
  }

  async function openStore(stopping: AbortSignal): Promise<Foundation> {
    try {
      await begin(store, stopping);
      const { deploymentId } = await store.meta();
      const keyring = await openKeyring({ store, keys: settings.SECRETS_KEY, entropy, log });
      return { store, deploymentId, keyring, onEnded: metrics.observeEnd };
    } catch (error) {
      // Whoever runs the service logs the whole of it. A start that was stopped is no failure.
      if (!stopping.aborted) log.error({ message: errorMessage(error) }, "Failed to create database client");
      throw error;
    }
  }

  const service = createService({
    name: "worker",
    async start(stopping) {
      for (const { capabilities } of providers) checkSettle(settings, capabilities.requestOutlivesMs);
      log.info({}, "Starting worker...");
      metrics.start();
      // First, so that a taken port is found out before anything else is touched, and probes are answered meanwhile.
      await begin(port, stopping);
      waitsFor = NotReady.OpeningStore;
      const foundation = await openStore(stopping);
      waitsFor = NotReady.CheckingProvider;
      for (const provider of providers) await begin(provider, stopping);
      waitsFor = NotReady.Starting;
      engine = options.createEngine(foundation);
      engine.ended.catch(ended.reject);
      await begin(engine.service, stopping);
      api = createApi(foundation, engine);
      waitsFor = undefined;
      started.resolve();
      log.info({}, `Worker listening on ${settings.WORKER_HOST}:${port.address().port}`);
    },
    async drain(signal) {
      draining.abort();
      engine?.retire();
      await port.drain(signal);
      // The term ends last: until then nobody else may touch what is in flight here.
      await engine?.service.drain(signal);
    },
    async stop() {
      draining.abort();
      started.reject(new UnavailableError(NotReady.Starting, "the worker could not start"));
      const faults: unknown[] = [];
      for (const stop of undo.reverse()) {
        await stop().catch((error: unknown) => faults.push(error));
      }
      metrics.stop();
      if (faults.length > 0) throw new AggregateError(faults, "the worker did not stop cleanly");
    },
  });

  function createApi({ keyring }: Foundation, { dispatcher, ownership }: Engine): Api {
    return {
      store,
      keyring,
      clock,
      entropy,
      dispatcher,
      ownership,
      providers: new Map(providers.map((provider) => [provider.target, provider])),
      workerId,
      allowedServiceAccounts: settings.ALLOWED_SERVICE_ACCOUNTS,
      submitWaitMs: settings.SUBMIT_WAIT_SECONDS,
      maxActiveJobs: settings.WORKER_MAX_ACTIVE_JOBS,
      draining: draining.signal,
    };
  }

  return Object.defineProperties(
    { address: port.address, ended: ended.promise } as Worker,
    Object.getOwnPropertyDescriptors(service),
  );
}
