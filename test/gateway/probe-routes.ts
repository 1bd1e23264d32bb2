import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { ProbeService } from "./testdata/probe_pb.js";

function failure(): ConnectError {
  return new ConnectError("asked to fail", Code.FailedPrecondition, { "X-Probe-Error": "why" });
}

/** Serves the tests' own service: says back what it hears, and tells what it saw. */
export function probeRoutes(router: ConnectRouter): void {
  router.service(ProbeService, {
    unary(request, context) {
      context.responseHeader.set("X-Seen-Probe", context.requestHeader.get("X-Probe") ?? "");
      context.responseTrailer.set("X-Probe-Trailer", "end");
      if (request.fail) throw failure();
      return { text: request.text, filler: new Uint8Array(request.size) };
    },
    fetch: (request) => ({ text: request.text }),
    async collect(requests) {
      const texts: string[] = [];
      for await (const { text } of requests) texts.push(text);
      return { text: texts.join(","), count: texts.length };
    },
    async *expand(request, context) {
      context.responseTrailer.set("X-Probe-Trailer", "end");
      for (let i = 0; i < request.count; i++) {
        yield { text: `${request.text}${i}`, filler: new Uint8Array(request.size) };
      }
      if (request.fail) throw failure();
    },
    async *converse(requests) {
      for await (const { text } of requests) yield { text };
    },
  });
}
