import { BatchServiceClient, type protos } from "@google-cloud/batch";
import type { grpc } from "google-gax";
import type { Spend } from "#pkg/batch/index.ts";
import type { Clock } from "#pkg/clock/index.ts";
import { CredentialsError, callErrorOf } from "./faults.ts";
import { gax } from "./gax.ts";

export type BatchJob = protos.google.cloud.batch.v1.IJob;
export type BatchTask = protos.google.cloud.batch.v1.ITask;
export type StatusEvent = protos.google.cloud.batch.v1.IStatusEvent;

/** The calls of the Batch API that this adapter makes. */
interface Methods {
  readonly createJob: { request: protos.google.cloud.batch.v1.ICreateJobRequest; reply: BatchJob };
  readonly getJob: { request: protos.google.cloud.batch.v1.IGetJobRequest; reply: BatchJob };
  readonly getTask: { request: protos.google.cloud.batch.v1.IGetTaskRequest; reply: BatchTask };
  readonly listJobs: {
    request: protos.google.cloud.batch.v1.IListJobsRequest;
    reply: protos.google.cloud.batch.v1.IListJobsResponse;
  };
  // Both begin an operation that goes on in the cloud; that it was taken in is all that is waited for.
  readonly cancelJob: { request: protos.google.cloud.batch.v1.ICancelJobRequest; reply: unknown };
  readonly deleteJob: { request: protos.google.cloud.batch.v1.IDeleteJobRequest; reply: unknown };
}
type Method = keyof Methods;

export interface CallOptions {
  /** Ends the call. */
  readonly signal: AbortSignal;
  /**
   * Called when the connection stands and the request is signed: the next thing that happens is that it leaves. What it
   * throws is thrown by the call, and nothing was sent.
   */
  readonly beforeSend?: () => void;
}

/** Calls to the Batch API, each exactly one request. */
export interface Connection {
  /** @throws CallError, CredentialsError, the signal's reason, or what `beforeSend` throws. */
  call<M extends Method>(
    method: M,
    request: Methods[M]["request"],
    options: CallOptions,
  ): Promise<Methods[M]["reply"]>;
  /** Gets the credentials once, so that their absence is told at the start. @throws CredentialsError */
  checkCredentials(): Promise<void>;
  close(): Promise<void>;
}

export interface ConnectionOptions {
  /** Another endpoint than Google's own. Plain http carries no credentials. */
  readonly endpoint: string | undefined;
  readonly clock: Clock;
}

/** The longest that the service is told to work on a call whose caller is gone. */
const DEADLINE_MS = 30_000;

type Unary = (
  request: unknown,
  metadata: grpc.Metadata,
  options: grpc.CallOptions,
  callback: (error: grpc.ServiceError | null, reply: unknown) => void,
) => grpc.ClientUnaryCall;

/**
 * The vendor's client, and of it the stub beneath its retries: so nothing is ever sent twice behind the caller's back, a
 * call can be ended, and the credentials are got *before* the last look at the trust instead of after it.
 */
export async function connect({ endpoint, clock }: ConnectionOptions): Promise<Connection> {
  const url = endpoint === undefined ? undefined : new URL(endpoint);
  const isClear = url?.protocol === "http:";
  const { credentials } = gax.grpc;
  const client = new BatchServiceClient({
    ...(url && { apiEndpoint: url.hostname, port: Number(url.port || (isClear ? 80 : 443)) }),
    // Without the call credentials that the client would add: those of `signed` come in their place.
    sslCreds: isClear ? credentials.createInsecure() : credentials.createSsl(),
    fallback: false,
    // Nobody but the caller decides on a second request: neither the transport nor a policy from the name service.
    "grpc.enable_retries": 0,
    "grpc.service_config_disable_resolution": 1,
    // A connection that went dead without a word is found out by the calls on it, not minutes later by the kernel.
    "grpc.keepalive_time_ms": 30_000,
    "grpc.keepalive_timeout_ms": 10_000,
    // Looks for the domain of the credentials otherwise, which asks a metadata server that may not be there.
    ...(isClear && { universeDomain: "googleapis.com", clientOptions: { universeDomain: "googleapis.com" } }),
  });
  const stub = (await client.initialize()) as unknown as Readonly<Record<Method, Unary>>;
  const audience = `https://${client.apiEndpoint}`;

  async function authorization(): Promise<grpc.Metadata> {
    const metadata = new gax.grpc.Metadata();
    if (isClear) return metadata;
    try {
      const headers = await client.auth.getRequestHeaders(audience);
      headers.forEach((value, key) => {
        metadata.set(key, value);
      });
      return metadata;
    } catch (cause) {
      throw new CredentialsError(cause);
    }
  }

  return {
    call(method, request, { signal, beforeSend }) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        let isSent = false;
        let failure: unknown;
        // gRPC asks for these when it has a connection, as the last thing before the request leaves.
        const signed = credentials.createFromMetadataGenerator((_, callback) => {
          authorization()
            .then((metadata) => {
              beforeSend?.();
              isSent = true;
              callback(null, metadata);
            })
            .catch((error: unknown) => {
              failure = error;
              callback(error as Error);
            });
        });
        const call = stub[method](
          request,
          routing(request),
          { deadline: clock.nowMs() + DEADLINE_MS, credentials: signed },
          (error, reply) => {
            signal.removeEventListener("abort", onAbort);
            if (error === null) return resolve(reply as never);
            if (failure !== undefined) return reject(failure);
            // An answer that came before the end of the time is an answer.
            if (signal.aborted && error.code === gax.grpc.status.CANCELLED) return reject(signal.reason);
            return reject(callErrorOf(error, isSent));
          },
        );
        const onAbort = () => call.cancel();
        signal.addEventListener("abort", onAbort, { once: true });
      });
    },
    async checkCredentials() {
      await authorization();
    },
    close: () => client.close(),
  };
}

/** The connection for one call of the port, whose caller has paid for one request: each further one is told as it leaves. */
export function metered(connection: Connection, spend: Spend | undefined): Connection {
  let isPaid = true;
  return {
    ...connection,
    call(method, request, options) {
      if (!isPaid) spend?.();
      isPaid = false;
      return connection.call(method, request, options);
    },
  };
}

/** Tells Google's front door which region a request is for. */
function routing(request: { readonly parent?: string | null; readonly name?: string | null }): grpc.Metadata {
  const metadata = new gax.grpc.Metadata();
  const [key, value] = request.parent ? ["parent", request.parent] : ["name", request.name ?? ""];
  metadata.set("x-goog-request-params", `${key}=${encodeURIComponent(value)}`);
  return metadata;
}
