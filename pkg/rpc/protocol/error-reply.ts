import type { ConnectError } from "@connectrpc/connect";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { errorDetails } from "#pkg/rpc/google-rpc.ts";
import { CallProtocol } from "./call-protocol.ts";

/** A whole reply; headers alternate names (in lower case) and values. There are no trailers to send. */
export interface ErrorReply {
  readonly status: number;
  readonly headers: string[];
  readonly body: Buffer;
}

/** Details in words as well as in bytes, by the proto's names as everywhere. */
const JSON_OPTIONS = { registry: errorDetails, useProtoFieldName: true };

/** @param contentType of the request, which the streaming protocols answer with. */
export function errorReply(
  protocol: CallProtocol,
  contentType: string | undefined,
  error: ConnectError,
): ErrorReply {
  switch (protocol) {
    case CallProtocol.ConnectStream:
      return connectStreamReply(contentType ?? "", error);
    case CallProtocol.Grpc:
      return grpcReply(contentType ?? "", error);
    case CallProtocol.GrpcWeb:
    case CallProtocol.GrpcWebText:
      return grpcWebReply(contentType ?? "", error, protocol === CallProtocol.GrpcWebText);
    default:
      return unaryReply(error);
  }
}

function unaryReply(error: ConnectError): ErrorReply {
  const body = Buffer.from(errorToJsonBytes(error, JSON_OPTIONS));
  const headers = ["content-type", "application/json", "content-length", String(body.length)];
  error.metadata.forEach((value, name) => {
    headers.push(name, value);
  });
  return { status: codeToHttpStatus(error.code), headers, body };
}

function connectStreamReply(contentType: string, error: ConnectError): ErrorReply {
  const end = JSON.stringify(endStreamToJson(new Headers(), error, JSON_OPTIONS));
  const body = envelope(endStreamFlag, Buffer.from(end));
  return streamReply(contentType, body);
}

/** Without a message the trailers go as headers ("Trailers-Only"), over HTTP/1.1 too. */
function grpcReply(contentType: string, error: ConnectError): ErrorReply {
  const headers = ["content-type", contentType];
  setTrailerStatus(new Headers(), error).forEach((value, name) => {
    headers.push(name, value);
  });
  return { status: 200, headers, body: Buffer.alloc(0) };
}

function grpcWebReply(contentType: string, error: ConnectError, isText: boolean): ErrorReply {
  const trailer = setTrailerStatus(new Headers(), error);
  const frame = envelope(trailerFlag, Buffer.from(trailerSerialize(trailer)));
  return streamReply(contentType, isText ? Buffer.from(frame.toString("base64")) : frame);
}

/** The error's own headers are in the body; said twice, a client would read them joined. */
function streamReply(contentType: string, body: Buffer): ErrorReply {
  const headers = ["content-type", contentType, "content-length", String(body.length)];
  return { status: 200, headers, body };
}

/** One frame of the streaming protocols: flags, length, bytes. */
function envelope(flags: number, data: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(data.length, 1);
  return Buffer.concat([head, data]);
}
