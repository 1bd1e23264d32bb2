import {
  contentTypeRegExp as connectContentType,
  contentTypeStreamRegExp as connectStreamContentType,
} from "@connectrpc/connect/protocol-connect";
import { contentTypeRegExp as grpcContentType } from "@connectrpc/connect/protocol-grpc";
import { contentTypeRegExp as grpcWebContentType } from "@connectrpc/connect/protocol-grpc-web";

/** What a request speaks. `plain` is all that is no call of the three protocols; it is answered like unary Connect. */
export const CallProtocol = {
  ConnectUnary: "connect-unary",
  ConnectGet: "connect-get",
  ConnectStream: "connect-stream",
  Grpc: "grpc",
  GrpcWeb: "grpc-web",
  GrpcWebText: "grpc-web-text",
  Plain: "plain",
} as const;
export type CallProtocol = (typeof CallProtocol)[keyof typeof CallProtocol];

/** A Connect call by GET has its message in the query. */
const GET_MESSAGE = /[?&]message=/;

/** Told by the method, the content type and, for GET, the query; as the protocols themselves define it. */
export function protocolOf(method: string, contentType: string | undefined, target: string): CallProtocol {
  if (method === "GET") return GET_MESSAGE.test(target) ? CallProtocol.ConnectGet : CallProtocol.Plain;
  if (contentType === undefined || method !== "POST") return CallProtocol.Plain;
  return common.get(contentType) ?? parse(contentType);
}

/** What nearly every request says, looked up instead of matched. */
const common = new Map<string, CallProtocol>(
  ["application/json", "application/proto", "application/grpc", "application/grpc+proto"].map((type) => [
    type,
    parse(type),
  ]),
);

function parse(contentType: string): CallProtocol {
  if (connectStreamContentType.test(contentType) && contentType.includes("+")) {
    return CallProtocol.ConnectStream;
  }
  if (connectContentType.test(contentType)) return CallProtocol.ConnectUnary;
  if (grpcContentType.test(contentType)) return CallProtocol.Grpc;
  const web = grpcWebContentType.exec(contentType);
  if (web === null) return CallProtocol.Plain;
  return web[1] === undefined ? CallProtocol.GrpcWeb : CallProtocol.GrpcWebText;
}

/** Whether a call in it has one message each way; the others may be streams, and be full-duplex. */
export function isUnaryProtocol(protocol: CallProtocol): boolean {
  return (
    protocol === CallProtocol.ConnectUnary ||
    protocol === CallProtocol.ConnectGet ||
    protocol === CallProtocol.Plain
  );
}
