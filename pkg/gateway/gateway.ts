import { type Clock, type Entropy, systemEntropy } from "#pkg/clock/index.ts";
import { createJobId, TENANT_HEADER, tenantIdFault } from "#pkg/job/index.ts";
import { createService, type Service } from "#pkg/lifecycle/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { createRing } from "#pkg/ring/index.ts";
import { soundRequestId } from "#pkg/rpc/headers.ts";
import { toConnectError } from "#pkg/rpc/index.ts";
import { createPort, type Port, type PortLimits } from "#pkg/rpc/port/index.ts";
import { errorReply, protocolOf } from "#pkg/rpc/protocol/index.ts";
import { type CallEnd, CallFault, type CallLimits, type CallPlan, carryCall } from "./call.ts";
import { type Caller, ResetCode } from "./caller.ts";
import { createHttp1Caller } from "./http1-caller.ts";
import { createHttp2Caller } from "./http2-caller.ts";
import { createIdTokens, type IdTokens } from "./id-tokens.ts";
import { createMetadataServer } from "./metadata-server.ts";
import { createMetrics } from "./metrics.ts";
import { type OwnReply, ownReply, UnreadyReason } from "./own-routes.ts";
import { createPooledEntropy } from "./pooled-entropy.ts";
import { createProber } from "./prober.ts";
import type { RpcTable } from "./rpc-table.ts";
import { DEFAULT_METADATA_HOST, WorkerAuth } from "./settings.ts";
import { createWorker, type Worker, type WorkerAddress } from "./workers.ts";

export interface GatewayOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** All configured workers, ready or not: the ring is made of them. */
  readonly workers: readonly WorkerAddress[];
  /** What the contract says of its RPCs; others pass through. */
  readonly rpcs: RpcTable;
  /** Between two probes of a worker. Milliseconds. `GATEWAY_HEALTH_INTERVAL_SECONDS`. */
  readonly healthIntervalMs: number;
  /** A unary call's whole time. Milliseconds. `GATEWAY_UPSTREAM_TIMEOUT_SECONDS`. */
  readonly unaryTimeoutMs: number;
  /** `MAX_REQUEST_BYTES`. */
  readonly maxRequestBytes: number;
  readonly limits?: Partial<PortLimits>;
  /** What the workers' front doors ask for. Default: nothing. `WORKER_AUTH`. */
  readonly workerAuth?: WorkerAuth;
  /** Where ID tokens come from, host or host:port. Default: Google's own. `GCE_METADATA_HOST`. */
  readonly metadataHost?: string;
  /** Where job ids and request ids come from. Default: the system's. */
  readonly entropy?: Entropy;
}

/** The running gateway. */
export interface Gateway extends Service {
  address(): { readonly host: string; readonly port: number };
}

/** See the package's paragraph and its README. */
export function createGateway(options: GatewayOptions): Gateway {
  const { clock, log, rpcs } = options;
  const entropy = createPooledEntropy(options.entropy ?? systemEntropy);
  const idTokens = idTokensOf(options);
  const workers = options.workers.map((address) => createWorker(address, clock, idTokens));
  const byName = new Map(workers.map((worker) => [worker.name, worker]));
  const ring = createRing([...byName.keys()]);
  /** By the ring's own array, which it gives again for the same tenant. */
  const orders = new WeakMap<readonly string[], readonly Worker[]>();
  let inFlight = 0;
  let isDraining = false;

  const metrics = createMetrics(() => inFlight);
  for (const worker of workers) metrics.workerChanged(worker.name, false);
  const prober = createProber({
    clock,
    log,
    workers,
    intervalMs: options.healthIntervalMs,
    onChange: (worker) => metrics.workerChanged(worker.name, worker.isReady),
  });
  const limits: CallLimits = {
    clock,
    maxRequestBytes: options.maxRequestBytes,
    unaryTimeoutMs: options.unaryTimeoutMs,
  };
  const port: Port = createPort({
    name: "gateway",
    clock,
    host: options.host,
    port: options.port,
    setting: "GATEWAY_PORT",
    ...(options.limits !== undefined && { limits: options.limits }),
    handlers: {
      http1: (request, response) => take(createHttp1Caller(request, response, false)),
      http1Expecting: (request, response) => take(createHttp1Caller(request, response, true)),
      http2: {
        streams: (stream, headers, rawHeaders) => take(createHttp2Caller(stream, headers, rawHeaders, clock)),
      },
    },
  });

  /** Whatever a caller sends, it costs no more than its own call. */
  function take(caller: Caller): void {
    try {
      const own = ownReply({ metrics, unreadyReason }, caller.method, caller.target);
      if (own === undefined) takeCall(caller);
      else own.then((reply) => sendOwn(caller, reply)).catch((error: unknown) => giveUp(caller, error));
    } catch (error) {
      giveUp(caller, error);
    }
  }

  function giveUp(caller: Caller, error: unknown): void {
    log.error({ err: error }, "a call could not be taken");
    caller.reset(ResetCode.InternalError);
  }

  function sendOwn(caller: Caller, { status, contentType, body }: OwnReply): void {
    const headers = ["content-type", contentType, "content-length", String(Buffer.byteLength(body))];
    sendWhole(caller, status, [...headers, "x-request-id", requestIdOf(caller)], Buffer.from(body));
  }

  function takeCall(caller: Caller): void {
    const { method, target } = caller;
    const requestId = requestIdOf(caller);
    const contentType = caller.header("content-type");
    const protocol = protocolOf(method, contentType, target);
    const tenantId = caller.header(TENANT_HEADER);
    const fault = tenantIdFault(tenantId);
    const query = target.indexOf("?");
    const rpc = rpcs.get(query < 0 ? target : target.slice(0, query));
    const beganMs = clock.monotonicMs();

    function report(end: CallEnd): void {
      const durationMs = clock.monotonicMs() - beganMs;
      metrics.callEnded(rpc?.name ?? "unknown", protocol, end, durationMs);
      const line = {
        // One that is none is not repeated in the log: it may be anything.
        tenant_id: fault === undefined ? tenantId : undefined,
        request_id: requestId,
        worker_id: end.worker,
        rpc: rpc?.name,
        protocol,
        status: end.status,
        grpc_status: end.grpcStatus,
        visits: end.visits,
        fault: end.fault,
        duration_ms: Math.round(durationMs * 1000) / 1000,
        ...(end.cause !== undefined && { err: end.cause }),
      };
      if (isFailure(end)) log.info(line, "call failed");
      else log.debug(line, "call");
    }

    if (fault !== undefined || tenantId === undefined) {
      const { status, headers, body } = errorReply(protocol, contentType, toConnectError(fault, requestId));
      const grpcStatus = undefined;
      report({ status, grpcStatus, worker: undefined, visits: 0, fault: CallFault.Refused, cause: fault });
      sendWhole(caller, status, [...headers, "x-request-id", requestId], body);
      return;
    }
    inFlight++;
    const jobId = createJobId(clock, entropy);
    const plan: CallPlan = { caller, protocol, rpc, requestId, jobId, workers: workersOf(tenantId) };
    carryCall(plan, limits, (end) => {
      inFlight--;
      report(end);
    });
  }

  function workersOf(tenantId: string): readonly Worker[] {
    const names = ring.workersOf(tenantId);
    let order = orders.get(names);
    if (order === undefined) {
      order = names.flatMap((name) => byName.get(name) ?? []);
      orders.set(names, order);
    }
    return order;
  }

  function requestIdOf(caller: Caller): string {
    const given = soundRequestId(caller.header("x-request-id"));
    return given ?? Buffer.from(entropy.bytes(16)).toString("hex");
  }

  function unreadyReason(): UnreadyReason | undefined {
    if (isDraining) return UnreadyReason.Draining;
    return workers.some((worker) => worker.isReady) ? undefined : UnreadyReason.NoWorkerReady;
  }

  const service = createService({
    name: "gateway",
    async start() {
      await prober.start();
      await port.start();
      const bound = port.address();
      log.info({ workers: workers.length }, `Gateway listening on ${bound.host}:${bound.port}`);
    },
    async drain(signal) {
      isDraining = true;
      await port.drain(signal);
    },
    async stop() {
      await port.stop();
      await prober.stop();
      await Promise.all([...workers, ...(idTokens ? [idTokens] : [])].map((each) => each.destroy()));
    },
  });
  return Object.defineProperties(
    { address: () => port.address() } as Gateway,
    Object.getOwnPropertyDescriptors(service),
  );
}

function idTokensOf({ workerAuth, metadataHost, clock, log }: GatewayOptions): IdTokens | undefined {
  if (workerAuth !== WorkerAuth.GoogleIdToken) return undefined;
  const server = createMetadataServer(metadataHost ?? DEFAULT_METADATA_HOST, clock);
  return createIdTokens({ clock, log, server });
}

function sendWhole(caller: Caller, status: number, headers: string[], body: Buffer): void {
  const hasBody = body.length > 0 && caller.method !== "HEAD";
  caller.head(status, headers, !hasBody);
  if (hasBody) caller.write(body);
  caller.end([]);
}

function isFailure({ status, grpcStatus, fault }: CallEnd): boolean {
  return fault !== undefined || (status ?? 500) >= 400 || (grpcStatus !== undefined && grpcStatus !== "0");
}
