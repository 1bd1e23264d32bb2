import { parseTimeout as parseConnect } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpc } from "@connectrpc/connect/protocol-grpc";
import { CallProtocol } from "./call-protocol.ts";

/**
 * How long the caller waits, as its protocol tells it; milliseconds. Undefined where it does not say, or says it wrong, which
 * is for the worker to refuse.
 *
 * @param header a header's value by its name in lower case.
 */
export function callerTimeoutMs(
  protocol: CallProtocol,
  header: (name: string) => string | undefined,
): number | undefined {
  switch (protocol) {
    case CallProtocol.ConnectUnary:
    case CallProtocol.ConnectGet:
    case CallProtocol.ConnectStream:
      return parseConnect(header("connect-timeout-ms") ?? null, Number.POSITIVE_INFINITY).timeoutMs;
    case CallProtocol.Grpc:
    case CallProtocol.GrpcWeb:
    case CallProtocol.GrpcWebText:
      return parseGrpc(header("grpc-timeout") ?? null, Number.POSITIVE_INFINITY).timeoutMs;
    default:
      return undefined;
  }
}
