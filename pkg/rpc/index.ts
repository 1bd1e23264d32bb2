/**
 * The wire: proto ⇄ domain, the domain's errors as Connect's, and the handler that serves Connect, gRPC and gRPC-Web on
 * Node requests.
 *
 * It promises that a call reaches its implementation with a well-formed tenant, a request id and no field that the proto
 * does not know; that every error leaves with the right code and its `google.rpc` details; and that nothing a caller sent
 * stands in a log line but names. It leaves to its users what each RPC does, and to `port` how bytes come and go.
 */
export { type Call, callOf } from "./call.ts";
export type { CallEnd } from "./call-progress.ts";
export { canonicalRequest } from "./canonical-request.ts";
export { toConnectError } from "./errors.ts";
export { errorDetails } from "./google-rpc.ts";
export {
  createRpcHandler,
  hostOf,
  type NodeHandler,
  type RpcHandlerOptions,
} from "./handler.ts";
export {
  IDEMPOTENCY_KEY_HEADER,
  JOB_ID_HEADER,
  REQUEST_ID_HEADER,
  type RepeatHeaders,
  repeatHeadersOf,
  requireNone,
} from "./headers.ts";
export { jobToProto, statusToProto } from "./job-to-proto.ts";
export { listQueryOf } from "./list-request.ts";
export { encodePageToken } from "./page-token.ts";
export { specInputOf } from "./submit-request.ts";
