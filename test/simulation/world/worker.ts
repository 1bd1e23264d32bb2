import type { MessageInitShape } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { createContextValues, createHandlerContext, type HandlerContext } from "@connectrpc/connect";
import { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import type { BatchProvider } from "#pkg/batch/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import { callKey } from "#pkg/rpc/call.ts";
import { createGatheredStore } from "#pkg/store/index.ts";
import type { Api } from "#pkg/worker/api.ts";
import { createDeploymentService } from "#pkg/worker/deployment-service.ts";
import { createEngine } from "#pkg/worker/engine.ts";
import { createCloudClient } from "#test/simulation/cloud/provider.ts";
import { requestOutlivesMs } from "#test/simulation/cloud/rules.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";
import type { Kit } from "./kit.ts";
import { createTraceLogger } from "./logger.ts";
import type { WorkerSetting } from "./setting.ts";
import { createStoreClient } from "./store-client.ts";

/** One call to the API, as it reaches a worker. */
export type RpcCall = {
  readonly [M in keyof typeof DeploymentService.method]: {
    readonly rpc: M;
    readonly request: MessageInitShape<(typeof DeploymentService.method)[M]["input"]>;
    readonly tenant: string;
    readonly headers: Readonly<Record<string, string>>;
  };
}[keyof typeof DeploymentService.method];

type Engine = ReturnType<typeof createEngine>;

/** A worker's process, with the real engine and the real handlers in it. */
export interface SimWorker {
  readonly process: SimProcess;
  readonly workerId: string;
  readonly instance: string;
  /** Undefined until it has begun its term. */
  readonly engine: Engine | undefined;
  /** Serves calls now. */
  readonly isReady: boolean;
  /** Answers one call, or throws what the edge would translate. */
  call(call: RpcCall, signal: AbortSignal): Promise<unknown>;
  /** SIGTERM: leaves in order, and calls `onExit`. */
  drain(): void;
  /** Begins; calls `onExit` when it cannot, or must leave. */
  start(): void;
}

/** How long a drain may take. */
const DRAIN_MS = 8_000;
const SUBMIT_WAIT_MS = 10_000;

export interface SimWorkerOptions {
  readonly kit: Kit;
  readonly setting: WorkerSetting;
  readonly process: SimProcess;
  readonly workerId: string;
  readonly instance: string;
  readonly onExit: (code: number) => void;
}

export function createSimWorker(options: SimWorkerOptions): SimWorker {
  const { kit, setting, process, workerId, instance, onExit } = options;
  const onLine = (fields: object, message: string) => kit.onTold("a line of the log", [message, fields]);
  const log = createTraceLogger(kit.trace, process.name, onLine, kit.onBroken);
  const store = createGatheredStore(createStoreClient({ ...kit, process }));
  const providers = setting.targets.flatMap((target): readonly BatchProvider[] => {
    const cloud = kit.clouds.get(target);
    return cloud === undefined ? [] : [createCloudClient({ ...kit, process, cloud })];
  });
  const draining = new AbortController();
  let engine: Engine | undefined;
  let api: Api | undefined;
  const service = createDeploymentService(() => {
    if (api === undefined) throw new UnavailableError("STARTING", "the worker starts");
    return api;
  });

  async function begin(): Promise<void> {
    const { ttlMs, claimIntervalMs } = kit.setting;
    const { deploymentId } = await store.meta();
    const longest = Math.max(...setting.targets.map((target) => outlivesMs(kit, target)));
    engine = createEngine(
      {
        settings: {
          ORPHAN_POLICY: "report",
          SETTLE_SECONDS: ttlMs + longest,
          WORKER_ADVERTISE_URL: undefined,
          WORKER_MAX_ACTIVE_JOBS: setting.maxActiveJobs,
          WORKER_LEASE_TTL_SECONDS: ttlMs,
          WORKER_CLAIM_INTERVAL_SECONDS: claimIntervalMs,
        },
        workerId,
        instance,
        version: "simulated",
        clock: process.clock,
        entropy: process.entropy,
        log,
        providers,
      },
      { store, deploymentId, keyring: kit.keyring, onEnded: () => undefined },
    );
    engine.ended.catch(() => exit(78));
    await engine.service.start();
    api = {
      store,
      keyring: kit.keyring,
      clock: process.clock,
      entropy: process.entropy,
      dispatcher: engine.dispatcher,
      ownership: engine.ownership,
      providers: new Map(providers.map((provider) => [provider.target, provider])),
      workerId,
      allowedServiceAccounts: [],
      submitWaitMs: SUBMIT_WAIT_MS,
      maxActiveJobs: setting.maxActiveJobs,
      draining: draining.signal,
    };
  }

  function exit(code: number): void {
    if (process.isAlive) onExit(code);
  }

  async function leave(): Promise<void> {
    draining.abort();
    engine?.retire();
    const enough = new AbortController();
    process.clock.timer(DRAIN_MS, () => enough.abort(new Error("drained for long enough")));
    const drained = engine?.service.drain(enough.signal).catch(() => undefined);
    await Promise.race([drained, new Promise((resolve) => enough.signal.addEventListener("abort", resolve))]);
    await engine?.service.stop();
  }

  function contextOf({ rpc, tenant, headers }: RpcCall, signal: AbortSignal): HandlerContext {
    return createHandlerContext({
      service: DeploymentService,
      method: DeploymentService.method[rpc],
      protocolName: "connect",
      requestMethod: "POST",
      url: "http://worker/",
      requestSignal: signal,
      requestHeader: headers,
      contextValues: createContextValues().set(callKey, { requestId: "", tenantId: tenant, log }),
    });
  }

  return {
    process,
    workerId,
    instance,
    get engine() {
      return engine;
    },
    get isReady() {
      return api !== undefined && !draining.signal.aborted;
    },
    async call(call, signal) {
      const request = create(DeploymentService.method[call.rpc].input, call.request as never);
      const handler = service[call.rpc] as (request: unknown, context: HandlerContext) => unknown;
      try {
        const response = await handler(request, contextOf(call, signal));
        kit.onTold("an answer", response);
        return response;
      } catch (error) {
        kit.onTold("an error's words", error);
        throw error;
      }
    },
    drain() {
      leave().then(
        () => exit(0),
        () => exit(1),
      );
    },
    start() {
      begin().catch((error: unknown) => {
        kit.trace.note(process.name, () => `could not start: ${String(error)}`);
        exit(1);
      });
    },
  };
}

function outlivesMs(kit: Kit, target: string): number {
  const cloud = kit.clouds.get(target);
  return cloud === undefined ? 0 : requestOutlivesMs(cloud.rules);
}
