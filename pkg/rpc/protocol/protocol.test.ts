import { Code, ConnectError } from "@connectrpc/connect";
import { endStreamFromJson, errorFromJsonBytes } from "@connectrpc/connect/protocol-connect";
import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { trailerParse } from "@connectrpc/connect/protocol-grpc-web";
import { describe, expect, it } from "vitest";
import { UnavailableError } from "#pkg/errors/index.ts";
import { toConnectError } from "#pkg/rpc/index.ts";
import { CallProtocol, errorReply, protocolOf } from "./index.ts";

describe("protocolOf", () => {
  it.each([
    ["POST", "application/json", "/s/m", CallProtocol.ConnectUnary],
    ["POST", "application/json; charset=utf-8", "/s/m", CallProtocol.ConnectUnary],
    ["POST", "application/proto", "/s/m", CallProtocol.ConnectUnary],
    ["POST", "application/connect+json", "/s/m", CallProtocol.ConnectStream],
    ["POST", "application/connect+proto", "/s/m", CallProtocol.ConnectStream],
    ["POST", "application/grpc", "/s/m", CallProtocol.Grpc],
    ["POST", "application/grpc+json", "/s/m", CallProtocol.Grpc],
    ["POST", "application/grpc-web+proto", "/s/m", CallProtocol.GrpcWeb],
    ["POST", "application/grpc-web-text", "/s/m", CallProtocol.GrpcWebText],
    ["POST", "text/plain", "/s/m", CallProtocol.Plain],
    ["POST", undefined, "/s/m", CallProtocol.Plain],
    ["GET", undefined, "/s/m?connect=v1&encoding=json&message=%7B%7D", CallProtocol.ConnectGet],
    ["GET", undefined, "/index.html", CallProtocol.Plain],
    ["PUT", "application/json", "/s/m", CallProtocol.Plain],
  ])("%s %s %s is %s", (method, contentType, target, protocol) => {
    expect(protocolOf(method, contentType, target)).toBe(protocol);
  });
});

describe("errorReply", () => {
  const error = toConnectError(new UnavailableError("NO_WORKER", "nobody", { retryAfterMs: 1500 }), "id");
  const fallback = new ConnectError("not read", Code.Unknown);
  const headerOf = (headers: string[], name: string) => headers[headers.indexOf(name) + 1];

  it("is read by unary Connect as it was meant, by its status too", () => {
    const reply = errorReply(CallProtocol.ConnectUnary, "application/proto", error);
    expect(reply.status).toBe(503);
    expect(headerOf(reply.headers, "retry-after")).toBe("2");
    const read = errorFromJsonBytes(reply.body, undefined, fallback);
    expect(read).toMatchObject({ code: Code.Unavailable, rawMessage: "nobody" });
    expect(read.details.map((detail) => "type" in detail && detail.type)).toEqual([
      "google.rpc.ErrorInfo",
      "google.rpc.RetryInfo",
    ]);
  });

  it("tells its details in words too, by the proto's names", () => {
    const { body } = errorReply(CallProtocol.ConnectUnary, "application/json", error);
    const { details } = JSON.parse(body.toString()) as { details: { debug: unknown }[] };
    expect(details.map(({ debug }) => debug)).toEqual([
      { reason: "NO_WORKER", domain: "jennah" },
      { retry_delay: "1.500s" },
    ]);
  });

  it("is read by a Connect stream as its end", () => {
    const { status, headers, body } = errorReply(
      CallProtocol.ConnectStream,
      "application/connect+proto",
      error,
    );
    expect([status, headerOf(headers, "content-type")]).toEqual([200, "application/connect+proto"]);
    expect([body.readUInt8(0), body.readUInt32BE(1)]).toEqual([2, body.length - 5]);
    expect(endStreamFromJson(body.subarray(5)).error).toMatchObject({ code: Code.Unavailable });
  });

  it("is read by gRPC and gRPC-Web as their status", () => {
    const grpc = errorReply(CallProtocol.Grpc, "application/grpc", error);
    const pairs = Array.from({ length: grpc.headers.length / 2 }, (_, i): [string, string] => [
      grpc.headers[2 * i] ?? "",
      grpc.headers[2 * i + 1] ?? "",
    ]);
    expect(findTrailerError(new Headers(pairs))).toMatchObject({
      code: Code.Unavailable,
      rawMessage: "nobody",
    });
    const web = errorReply(CallProtocol.GrpcWeb, "application/grpc-web+proto", error).body;
    expect(web.readUInt8(0)).toBe(0x80);
    expect(findTrailerError(trailerParse(web.subarray(5)))).toMatchObject({ code: Code.Unavailable });
    const text = errorReply(CallProtocol.GrpcWebText, "application/grpc-web-text", error).body;
    expect(Buffer.from(text.toString(), "base64").equals(web)).toBe(true);
  });
});
