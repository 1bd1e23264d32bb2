import { Code, ConnectError, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
  Http2SessionManager,
} from "@connectrpc/connect-node";
import { beforeEach, describe, expect, it } from "vitest";
import { probeRoutes } from "./probe-routes.ts";
import { type GatewayUnderTest, later, startGateway, startGatewayAtOnce, startUpstream } from "./support.ts";
import { ProbeService } from "./testdata/probe_pb.js";

type Make = (url: string) => Transport;

const tenant: Interceptor = (next) => (request) => {
  request.header.set("X-Tenant-Id", "test-tenant");
  return next(request);
};

function ways(): [string, boolean, Make][] {
  const all: [string, boolean, Make][] = [];
  for (const httpVersion of ["1.1", "2"] as const) {
    for (const useBinaryFormat of [true, false]) {
      const shape = `HTTP/${httpVersion} ${useBinaryFormat ? "binary" : "JSON"}`;
      const options = (baseUrl: string) => ({
        baseUrl,
        httpVersion,
        useBinaryFormat,
        interceptors: [tenant],
        ...(httpVersion === "2" && { sessionManager: sessionTo(baseUrl) }),
      });
      const isDuplex = httpVersion === "2";
      all.push([`Connect ${shape}`, isDuplex, (url) => createConnectTransport(options(url) as never)]);
      all.push([`gRPC ${shape}`, isDuplex, (url) => createGrpcTransport(options(url) as never)]);
      all.push([`gRPC-Web ${shape}`, isDuplex, (url) => createGrpcWebTransport(options(url) as never)]);
    }
  }
  return all;
}

function sessionTo(url: string): Http2SessionManager {
  const manager = new Http2SessionManager(url);
  later({ destroy: () => manager.abort() });
  return manager;
}

describe.each(ways())("a service that the gateway never heard of, over %s", (_, __, make) => {
  let under: GatewayUnderTest;
  let transport: Transport;
  beforeEach(async () => {
    const upstream = await startUpstream("worker-1", { routes: probeRoutes });
    // Not even its descriptors are known.
    under = await startGateway([upstream], { rpcs: new Map() });
    transport = make(under.url);
  });

  it("unary calls pass with headers, trailers and errors with their details", async () => {
    const client = createClient(ProbeService, transport);
    const heads: Headers[] = [];
    const answer = await client.unary(
      { text: "hello", size: 10 },
      {
        headers: { "X-Probe": "a" },
        onHeader: (headers) => heads.push(headers),
        onTrailer: (trailers) => heads.push(trailers),
      },
    );
    expect(answer.text).toBe("hello");
    expect(heads[0]?.get("x-seen-probe")).toBe("a");
    expect(heads[0]?.get("x-request-id")).toMatch(/^[0-9a-f]{32}$/);
    expect(heads[1]?.get("x-probe-trailer")).toBe("end");

    const error = await client.unary({ text: "no", fail: true }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConnectError);
    expect(error).toMatchObject({ code: Code.FailedPrecondition, rawMessage: "asked to fail" });
    expect((error as ConnectError).metadata.get("x-probe-error")).toBe("why");
  });

  it("client streams and server streams pass, with their trailers and errors", async () => {
    const client = createClient(ProbeService, transport);
    async function* three() {
      for (const text of ["a", "b", "c"]) yield { text };
    }
    expect(await client.collect(three())).toMatchObject({ text: "a,b,c", count: 3 });

    let trailer: string | null | undefined;
    const texts: string[] = [];
    const answers = client.expand(
      { text: "x", count: 5, size: 100 },
      {
        onTrailer: (trailers) => {
          trailer = trailers.get("x-probe-trailer");
        },
      },
    );
    for await (const answer of answers) texts.push(answer.text);
    expect(texts).toEqual(["x0", "x1", "x2", "x3", "x4"]);
    expect(trailer).toBe("end");

    const failing = client.expand({ text: "x", count: 2, fail: true });
    const got: string[] = [];
    const error = await (async () => {
      for await (const answer of failing) got.push(answer.text);
    })().catch((thrown: unknown) => thrown);
    expect(got).toEqual(["x0", "x1"]);
    expect(error).toMatchObject({ code: Code.FailedPrecondition });
  });

  it("an unknown RPC is unimplemented", async () => {
    const stranger = { ...ProbeService, typeName: "jennah.test.v1.StrangerService" };
    const methods = ProbeService.methods.map((method) => ({ ...method, parent: stranger }));
    const service = { ...stranger, methods, method: { unary: methods[0] } } as unknown as typeof ProbeService;
    const error = await createClient(service, transport)
      .unary({ text: "?" })
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: Code.Unimplemented });
  });
});

// Over HTTP/1.1 no side can answer before the other has finished.
describe.each(ways().filter(([, isDuplex]) => isDuplex))("full-duplex, over %s", (_, __, make) => {
  it("both sides of a conversation talk in turn", async () => {
    const upstream = await startUpstream("worker-1", { routes: probeRoutes });
    const under = await startGateway([upstream], { rpcs: new Map() });
    const client = createClient(ProbeService, make(under.url));
    const words = ["one", "two", "three"];
    const heard = words.map(() => Promise.withResolvers<void>());
    // Each word is said only after the one before was heard back.
    async function* talk() {
      for (const [i, text] of words.entries()) {
        yield { text };
        await heard[i]?.promise;
      }
    }
    const said: string[] = [];
    for await (const { text } of client.converse(talk())) {
      heard[said.length]?.resolve();
      said.push(text);
    }
    expect(said).toEqual(["one", "two", "three"]);
  });
});

describe.each(ways())("the gateway's own errors, over %s", (_, __, make) => {
  it("no worker, no tenant and a body too large are read as what they are", async () => {
    const under = await startGatewayAtOnce([{ name: "gone", url: new URL("http://127.0.0.1:9") }], {
      maxRequestBytes: 2000,
    });
    const client = createClient(ProbeService, make(under.url));
    const none = (await client.unary({ text: "x" }).catch((thrown: unknown) => thrown)) as ConnectError;
    expect(none).toMatchObject({ code: Code.Unavailable });
    expect(none.metadata.get("retry-after")).toBe("1");
    expect(none.details.map((detail) => "type" in detail && detail.type)).toEqual([
      "google.rpc.ErrorInfo",
      "google.rpc.RetryInfo",
    ]);
    const large = await client.unary({ text: "x".repeat(3000) }).catch((thrown: unknown) => thrown);
    expect(large).toMatchObject({ code: Code.ResourceExhausted });
    const blank = { headers: { "X-Tenant-Id": "" } };
    const streamed = (async () => {
      for await (const _answer of client.expand({ text: "x" }, blank)) break;
    })();
    await expect(streamed).rejects.toMatchObject({ code: Code.Unavailable });
  });
});
