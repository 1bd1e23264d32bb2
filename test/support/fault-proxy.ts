import { once } from "node:events";
import {
  type ClientHttp2Session,
  connect,
  constants,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { freePorts } from "./ports.ts";

/** What befalls a request. */
export type Fault =
  /** It is done, and its answer is cut off. */
  | { readonly kind: "lose" }
  /** It is done, and its answer never comes. */
  | { readonly kind: "silence" }
  /** It is not done, and answered with this gRPC status; `retryDelayMs` is what the answer asks the next try to wait. */
  | {
      readonly kind: "refuse";
      readonly code: number;
      readonly message?: string;
      readonly retryDelayMs?: number;
    }
  /** It is done, and to the first message of its answer these fields of the same type are added. */
  | { readonly kind: "amend"; readonly fields: Uint8Array }
  /** It is done, and answered when this resolves. */
  | { readonly kind: "delay"; readonly until: Promise<void> };

/** Stands between a gRPC client and its server, in the clear, and breaks what it is told to, by method. */
export interface FaultProxy {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  /** How many requests of this method (`Commit`) came. */
  count(method: string): number;
  /** The messages of the requests of this method that came, oldest first; those that were refused are not among them. */
  requests(method: string): readonly Uint8Array[];
  /** Does this to the next requests of this method, `times` of them. */
  befall(method: string, fault: Fault, times?: number): void;
  /** Resolves when a request of this method comes; those that came before do not count. */
  arrival(method: string): Promise<void>;
  /** From now on no connection lives and none is taken. */
  cut(): Promise<void>;
  /** Takes connections again, on the same port. */
  mend(): Promise<void>;
  stop(): Promise<void>;
}

/** gRPC writes before each message one byte of flags and its length. */
const PREFIX_BYTES = 5;

export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const counts = new Map<string, number>();
  const bodies = new Map<string, Uint8Array[]>();
  const faults = new Map<string, Fault[]>();
  const waiting = new Map<string, (() => void)[]>();
  const sessions = new Set<ServerHttp2Session>();
  let up: ClientHttp2Session | undefined;
  let server = serve();
  const [port = 0] = await freePorts(1);
  server.listen(port, "127.0.0.1");
  await once(server, "listening");

  function serve() {
    const made = createServer();
    made.on("session", (session) => {
      sessions.add(session);
      session.on("close", () => sessions.delete(session)).on("error", () => undefined);
    });
    made.on("stream", (stream, headers) => {
      // A client that goes away is part of the tests.
      stream.on("error", () => undefined);
      const method = String(headers[":path"]).split("/").at(-1) ?? "";
      counts.set(method, (counts.get(method) ?? 0) + 1);
      for (const tell of waiting.get(method)?.splice(0) ?? []) tell();
      const fault = faults.get(method)?.shift();
      if (fault?.kind === "refuse") refuse(stream, fault);
      else {
        forward(stream, headers, fault);
        keepRequest(stream, method);
      }
    });
    return made;
  }

  function keepRequest(stream: ServerHttp2Stream, method: string): void {
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => {
      const kept = bodies.get(method) ?? [];
      bodies.set(method, [...kept, Buffer.concat(parts).subarray(PREFIX_BYTES)]);
    });
  }

  function upstreamSession(): ClientHttp2Session {
    if (up === undefined || up.closed || up.destroyed) {
      up = connect(`http://${upstream}`);
      up.on("error", () => undefined);
    }
    return up;
  }

  function forward(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, fault: Fault | undefined): void {
    const request = upstreamSession().request(headers);
    request.on("error", () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
    stream.pipe(request);
    const parts: Buffer[] = [];
    let answer: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    request.on("response", (received) => {
      answer = received;
    });
    request.on("trailers", (received) => {
      trailers = received;
    });
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", async () => {
      if (fault?.kind === "silence") return;
      if (fault?.kind === "lose") return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
      if (fault?.kind === "delay") await fault.until;
      if (stream.destroyed) return;
      const isTrailersOnly = parts.length === 0 && Object.keys(trailers).length === 0;
      stream.respond(answer, isTrailersOnly ? { endStream: true } : { waitForTrailers: true });
      if (isTrailersOnly) return;
      stream.on("wantTrailers", () => stream.sendTrailers(trailers));
      const whole = Buffer.concat(parts);
      stream.end(fault?.kind === "amend" ? amended(whole, fault.fields) : whole);
    });
  }

  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const session of sessions) session.destroy();
    await closed;
  };

  return {
    host: `127.0.0.1:${port}`,
    count: (method) => counts.get(method) ?? 0,
    requests: (method) => bodies.get(method) ?? [],
    befall(method, fault, times = 1) {
      const queue = faults.get(method) ?? [];
      queue.push(...Array.from({ length: times }, () => fault));
      faults.set(method, queue);
    },
    arrival: (method) =>
      new Promise((resolve) => waiting.set(method, [...(waiting.get(method) ?? []), resolve])),
    cut: close,
    async mend() {
      server = serve();
      server.listen(port, "127.0.0.1");
      await once(server, "listening");
    },
    async stop() {
      await close();
      up?.destroy();
    },
  };
}

/** Fields that follow a message's own are merged into it, and win: that is how protobuf reads. */
function amended(messages: Buffer, fields: Uint8Array): Buffer {
  const length = messages.readUInt32BE(1);
  const prefix = Buffer.from(messages.subarray(0, PREFIX_BYTES));
  prefix.writeUInt32BE(length + fields.length, 1);
  const end = PREFIX_BYTES + length;
  return Buffer.concat([prefix, messages.subarray(PREFIX_BYTES, end), fields, messages.subarray(end)]);
}

function refuse(
  stream: ServerHttp2Stream,
  { code, message, retryDelayMs }: Fault & { kind: "refuse" },
): void {
  stream.resume();
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": String(code),
      "grpc-message": encodeURIComponent(message ?? "so it was told"),
      ...(retryDelayMs !== undefined && { "google.rpc.retryinfo-bin": retryInfo(retryDelayMs) }),
    },
    { endStream: true },
  );
}

/** `google.rpc.RetryInfo` in base64: its only field is the delay. */
function retryInfo(delayMs: number): string {
  const delay = create(DurationSchema, {
    seconds: BigInt(Math.floor(delayMs / 1_000)),
    nanos: (delayMs % 1_000) * 1e6,
  });
  const message = new BinaryWriter().tag(1, 2).bytes(toBinary(DurationSchema, delay)).finish();
  return Buffer.from(message).toString("base64");
}
