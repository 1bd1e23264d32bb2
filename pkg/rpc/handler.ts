import { randomUUID } from "node:crypto";
import {
  Code,
  ConnectError,
  type ConnectRouter,
  type ConnectRouterOptions,
  createConnectRouter,
  createContextValues,
} from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import {
  type ConnectNodeAdapterOptions,
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import { type Call, callKey } from "./call.ts";
import { type CallOptions, createCallInterceptor, enterCall } from "./call-progress.ts";
import { REQUEST_ID_HEADER, soundRequestId } from "./headers.ts";

/** A request listener that serves HTTP/1.1 and HTTP/2 alike. */
export type NodeHandler = NonNullable<ConnectNodeAdapterOptions["fallback"]>;
type NodeRequest = Parameters<NodeHandler>[0];
type NodeResponse = Parameters<NodeHandler>[1];

export interface RpcHandlerOptions extends CallOptions {
  readonly routes: (router: ConnectRouter) => void;
  /** Longest body, compressed or not, in bytes. `MAX_REQUEST_BYTES`. */
  readonly maxRequestBytes: number;
  /** Called for what is no RPC, with `X-Request-Id` set and the host known to be sound. */
  readonly fallback: NodeHandler;
}

/** What looks like an RPC of some service: `/package.Service/Method`. */
const RPC_PATH = /^\/[A-Za-z_][\w.]*\/[A-Za-z_]\w*$/;
const UNKNOWN = "unknown";

/**
 * JSON by the proto's own names, nothing unknown, and no byte replaced in silence: Connect's own decoder would turn bytes
 * that are not UTF-8 into U+FFFD and go on.
 */
const JSON_OPTIONS = {
  useProtoFieldName: true,
  ignoreUnknownFields: false,
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
};

/**
 * Serves Connect, gRPC and gRPC-Web on plain Node requests. It makes or takes the request id, checks the tenant before a
 * body is read, refuses unknown fields, turns errors into Connect's, and logs and counts how each call ended. A parser's
 * own words, which quote the body, go to the caller and never to the log.
 */
export function createRpcHandler(options: RpcHandlerOptions): NodeHandler {
  const { log, fallback } = options;
  const common: ConnectRouterOptions = {
    acceptCompression: [compressionGzip, compressionBrotli],
    jsonOptions: JSON_OPTIONS,
    readMaxBytes: options.maxRequestBytes,
  };
  const router = createConnectRouter({
    ...common,
    interceptors: [createCallInterceptor()],
    requestGate: (context) => enterCall(options, context),
  });
  options.routes(router);
  const handlers = new Map(router.handlers.map((handler) => [handler.requestPath, handler]));
  const unknownRpc = createUnknownRpcHandler(common, options);

  return (request, response) => {
    const requestId = soundRequestId(headerOf(request, REQUEST_ID_HEADER)) ?? randomUUID();
    // Refused before Connect sees it: its adapter throws on a host that is no host, outside of any promise.
    if (!hasSoundHost(request)) return answerPlainly(response, 400, requestId, "the request names no host");
    response.setHeader(REQUEST_ID_HEADER, requestId);
    const path = request.url?.split("?", 1)[0] ?? "";
    const handler = handlers.get(path) ?? (looksLikeRpc(request, path) ? unknownRpc : undefined);
    if (handler === undefined) return fallback(request, response);
    const callLog = log.child({ request_id: requestId });
    const call: Call = { requestId, tenantId: "", log: callLog };
    serve(handler, request, response, call).catch((error: unknown) => {
      // The caller is gone, or its request could not be made out: there is nobody to tell.
      callLog.debug({ err: error }, "the answer could not be written");
      response.destroy();
    });
  };
}

async function serve(handler: UniversalHandler, request: NodeRequest, response: NodeResponse, call: Call) {
  const values = createContextValues().set(callKey, call);
  const universal = universalRequestFromNodeRequest(request, response, undefined, values);
  await universalResponseToNodeResponse(await handler(universal), response);
}

/** Says `unimplemented` in the caller's own protocol; whose method it borrows for that does not show. */
function createUnknownRpcHandler(
  common: ConnectRouterOptions,
  { onEnd }: RpcHandlerOptions,
): UniversalHandler {
  const { handlers } = createConnectRouter({
    ...common,
    requestGate: () => {
      onEnd({ rpc: UNKNOWN, code: codeToString(Code.Unimplemented), durationMs: 0 });
      throw new ConnectError("there is no such RPC", Code.Unimplemented);
    },
  }).rpc(DeploymentService.method.submitJob, () => ({}));
  const [handler] = handlers;
  if (handler === undefined) throw new ConnectError("a router without handlers", Code.Internal);
  return handler;
}

function looksLikeRpc(request: NodeRequest, path: string): boolean {
  const type = headerOf(request, "content-type") ?? "";
  return (
    request.method === "POST" && RPC_PATH.test(path) && /^application\/(json|proto|grpc|connect)/.test(type)
  );
}

function hasSoundHost(request: NodeRequest): boolean {
  const host = hostOf(request);
  return host !== undefined && host !== "" && URL.canParse(`http://${host}`);
}

/** What the request says it is addressed to: `:authority` or `Host`, port included. */
export function hostOf(request: NodeRequest): string | undefined {
  // Connect reads the same two, and only the first where there is one.
  return "authority" in request ? request.authority : request.headers.host;
}

function headerOf(request: NodeRequest, name: string): string | undefined {
  const value = request.headers[name.toLowerCase()];
  return Array.isArray(value) ? value.join(", ") : value;
}

function answerPlainly(response: NodeResponse, status: number, requestId: string, words: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", [REQUEST_ID_HEADER]: requestId });
  response.end(`${words}\n`);
}
