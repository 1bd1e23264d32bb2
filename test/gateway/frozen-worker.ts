import { systemClock } from "#pkg/clock/index.ts";
import { createPort } from "#pkg/rpc/port/index.ts";

/** A worker process for the tests to freeze: ready, and answering no other call. Prints its port, then a line per call. */
const port = createPort({
  name: "frozen",
  clock: systemClock,
  host: "127.0.0.1",
  port: 0,
  setting: "TEST_PORT",
  handlers: {
    http1(request, response) {
      if (request.url === "/ready") response.end();
      else request.resume().on("end", () => process.stdout.write(`call ${request.url}\n`));
    },
    http2: {
      streams(stream, headers) {
        stream.resume().on("end", () => process.stdout.write(`call ${headers[":path"]}\n`));
      },
    },
  },
});
await port.start();
process.stdout.write(`${port.address().port}\n`);
