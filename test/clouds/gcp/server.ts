import { createRequire } from "node:module";
import type { grpc } from "google-gax";
import { gax } from "#pkg/batch/gcp/gax.ts";
import { type Cloud, type CloudOptions, createCloud } from "./cloud.ts";
import { createMisbehaviours, type MethodName, type Misbehaviour } from "./misbehaviour.ts";
import { createRate } from "./rates.ts";
import { type Refusal, RefusedError, refuse, toServiceError } from "./refusal.ts";

export interface GcpCloudOptions extends CloudOptions {
  /** Serves over TLS with these, both PEM; in the clear without them. */
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Changes and reads a minute. Default Google's own: 6,000 and 15,000. */
  readonly rates?: { readonly mutations?: number; readonly reads?: number; readonly retryAfterMs?: number };
}

/** GCP Batch over the wire: a gRPC server on loopback, from the protos that the vendor's client ships. */
export interface GcpCloud extends Cloud {
  /** `http://127.0.0.1:<port>`, or `https://localhost:<port>`, as `BATCH_ENDPOINT` takes it. */
  readonly endpoint: string;
  /** Every call so far, also those that were refused. */
  readonly calls: readonly Call[];
  /** The most changes and reads that any minute saw. */
  readonly peaks: { readonly mutations: number; readonly reads: number };
  misbehave(misbehaviour: Misbehaviour): void;
  /** Lets the requests go on that lie stalled. */
  letGo(): void;
  /** How many lie stalled. */
  readonly stalled: number;
  /** Takes a permission away, or gives it back. */
  deny(permission: string, isDenied?: boolean): void;
  /** Answers everything with this until it is taken back with nothing: an API that is off, an account that is not known. */
  refuseAll(refusal: Refusal | null | undefined): void;
  /** Drops all connections and frees the port. */
  stop(): Promise<void>;
}

export interface Call {
  readonly method: MethodName;
  /** Name, or parent. */
  readonly about: string;
  readonly atMs: number;
  /** What the caller showed for itself. */
  readonly authorization: string | undefined;
  readonly request: unknown;
}

interface Route {
  readonly permission: string;
  readonly isMutation: boolean;
  // The reply is checked by the serializer that the vendor's protos make.
  readonly work: (cloud: Cloud, request: never) => object;
}

const named =
  (work: (cloud: Cloud, name: string) => object) => (cloud: Cloud, request: { readonly name: string }) =>
    work(cloud, request.name);

const ROUTES: Readonly<Record<MethodName, Route>> = {
  CreateJob: {
    permission: "batch.jobs.create",
    isMutation: true,
    work: (cloud, request) => cloud.create(request),
  },
  GetJob: { permission: "batch.jobs.get", isMutation: false, work: named((cloud, name) => cloud.get(name)) },
  GetTask: {
    permission: "batch.tasks.get",
    isMutation: false,
    work: named((cloud, name) => cloud.getTask(name)),
  },
  ListJobs: {
    permission: "batch.jobs.list",
    isMutation: false,
    work: (cloud, request) => cloud.list(request),
  },
  CancelJob: {
    permission: "batch.jobs.cancel",
    isMutation: true,
    work: named((cloud, name) => cloud.cancel(name)),
  },
  DeleteJob: {
    permission: "batch.jobs.delete",
    isMutation: true,
    work: named((cloud, name) => cloud.delete(name)),
  },
};

type UnaryCall = grpc.ServerUnaryCall<{ readonly name?: string; readonly parent?: string }, object>;
type Answer = grpc.sendUnaryData<object>;

/** Starts the double on a free port. */
export async function startGcpCloud(options: GcpCloudOptions, port = 0): Promise<GcpCloud> {
  const { clock } = options;
  const cloud = createCloud(options);
  const mutations = createRate(clock, options.rates?.mutations ?? 6_000);
  const reads = createRate(clock, options.rates?.reads ?? 15_000);
  const misbehaviours = createMisbehaviours();
  const denied = new Set<string>();
  const calls: Call[] = [];
  let stalls: (() => void)[] = [];
  let refusal: Refusal | undefined;

  function admit(method: MethodName): void {
    const { permission, isMutation } = ROUTES[method];
    if (refusal !== undefined) throw new RefusedError(refusal);
    if (!(isMutation ? mutations : reads).take()) {
      refuse(
        "RESOURCE_EXHAUSTED",
        `Quota exceeded for quota metric '${isMutation ? "Mutation" : "Read"} requests per minute'`,
        {
          reason: "RATE_LIMIT_EXCEEDED",
          ...(options.rates?.retryAfterMs !== undefined && { retryAfterMs: options.rates.retryAfterMs }),
        },
      );
    }
    if (denied.has(permission)) {
      refuse(
        "PERMISSION_DENIED",
        `Permission '${permission}' denied on 'projects/${options.projectId}' (or it may not exist).`,
        {
          reason: "IAM_PERMISSION_DENIED",
          metadata: { permission },
        },
      );
    }
  }

  async function answer(method: MethodName, call: UnaryCall, callback: Answer): Promise<void> {
    const { request } = call;
    const authorization = call.metadata.get("authorization")[0]?.toString();
    calls.push({
      method,
      about: request.name ?? request.parent ?? "",
      atMs: clock.monotonicMs(),
      authorization,
      request,
    });
    try {
      admit(method);
      const job = (request as { readonly jobId?: string }).jobId || (request.name ?? "");
      const what = misbehaviours.take(method, job);
      if (what?.stall !== undefined) await new Promise<void>((resolve) => stalls.push(resolve));
      if (what?.stall === "drop") return;
      if (what?.before !== undefined) throw new RefusedError(what.before);
      const reply = ROUTES[method].work(cloud, request as never);
      if (what?.delayMs !== undefined) await clock.sleep(what.delayMs);
      if (what?.after !== undefined) throw new RefusedError(what.after);
      if (what?.silent !== true) callback(null, reply);
    } catch (error) {
      const said: Refusal =
        error instanceof RefusedError
          ? error.refusal
          : { status: "INTERNAL", words: `the double failed: ${error}` };
      callback(toServiceError(said));
    }
  }

  const { batch, longrunning } = services();
  const server = new gax.grpc.Server();
  server.addService(
    batch,
    Object.fromEntries(
      (Object.keys(ROUTES) as MethodName[]).map((method) => [
        method,
        (call: UnaryCall, callback: Answer) => void answer(method, call, callback),
      ]),
    ),
  );
  server.addService(longrunning, {
    GetOperation(call: UnaryCall, callback: Answer) {
      callback(null, cloud.operation(call.request.name ?? ""));
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, serverCredentials(options.tls), (error, taken) =>
      error === null ? resolve(taken) : reject(error),
    );
  });

  const more = {
    endpoint: options.tls ? `https://localhost:${bound}` : `http://127.0.0.1:${bound}`,
    calls,
    get peaks() {
      return { mutations: mutations.peak, reads: reads.peak };
    },
    misbehave: misbehaviours.add,
    letGo() {
      for (const go of stalls) go();
      stalls = [];
    },
    get stalled() {
      return stalls.length;
    },
    deny(permission: string, isDenied = true) {
      if (isDenied) denied.add(permission);
      else denied.delete(permission);
    },
    refuseAll(said: Refusal | null | undefined) {
      refusal = said ?? undefined;
    },
    async stop() {
      server.forceShutdown();
      cloud.close();
    },
  };
  return Object.defineProperties(cloud, Object.getOwnPropertyDescriptors(more)) as GcpCloud;
}

function serverCredentials(tls: GcpCloudOptions["tls"]): grpc.ServerCredentials {
  const { ServerCredentials } = gax.grpc;
  if (tls === undefined) return ServerCredentials.createInsecure();
  return ServerCredentials.createSsl(null, [
    { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) },
  ]);
}

interface Loaded {
  readonly google: {
    readonly cloud: {
      readonly batch: {
        readonly v1: { readonly BatchService: { readonly service: grpc.ServiceDefinition } };
      };
    };
    readonly longrunning: { readonly Operations: { readonly service: grpc.ServiceDefinition } };
  };
}

function services() {
  const protos = createRequire(import.meta.url)("@google-cloud/batch/build/protos/protos.json");
  const { google } = new gax.GrpcClient().loadProtoJSON(protos) as unknown as Loaded;
  return {
    batch: google.cloud.batch.v1.BatchService.service,
    longrunning: google.longrunning.Operations.service,
  };
}
