import { gax } from "#pkg/batch/gcp/gax.ts";

/** A status by its name in gRPC. */
export type StatusName = Exclude<keyof typeof gax.grpc.status, "OK">;

/** What the cloud says instead of an answer. */
export interface Refusal {
  readonly status: StatusName;
  readonly words: string;
  /** Told as `google.rpc.ErrorInfo`. */
  readonly reason?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Told as `google.rpc.RetryInfo`. */
  readonly retryAfterMs?: number;
}

/** Thrown by the cloud's own work. */
export class RefusedError extends Error {
  readonly refusal: Refusal;
  constructor(refusal: Refusal) {
    super(refusal.words);
    this.refusal = refusal;
  }
}

export function refuse(status: StatusName, words: string, more: Partial<Refusal> = {}): never {
  throw new RefusedError({ status, words, ...more });
}

const { root } = gax.protobuf.parse(`
  syntax = "proto3";
  package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message ErrorInfo { string reason = 1; string domain = 2; map<string, string> metadata = 3; }
`);

/** The refusal as gRPC carries it, details and all. */
export function toServiceError({ status, words, reason, metadata, retryAfterMs }: Refusal) {
  const code = gax.grpc.status[status];
  const details: object[] = [];
  if (reason !== undefined)
    details.push(pack("ErrorInfo", { reason, domain: "googleapis.com", metadata: { ...metadata } }));
  if (retryAfterMs !== undefined) {
    const retryDelay = { seconds: Math.floor(retryAfterMs / 1000), nanos: (retryAfterMs % 1000) * 1e6 };
    details.push(pack("RetryInfo", { retryDelay }));
  }
  const trailers = new gax.grpc.Metadata();
  if (details.length > 0) {
    trailers.set("grpc-status-details-bin", encode("Status", { code, message: words, details }));
  }
  return { code, details: words, metadata: trailers };
}

function pack(type: string, message: object): object {
  return { typeUrl: `type.googleapis.com/google.rpc.${type}`, value: encode(type, message) };
}

function encode(type: string, message: object): Buffer {
  const found = root.lookupType(`google.rpc.${type}`);
  return Buffer.from(found.encode(found.fromObject(message)).finish());
}
