import { createServer } from "node:http";

/** The worker of the measurement: answers every call with the same short message, as cheaply as Node can. Prints its port. */
const REPLY = Buffer.from('{"job_id":"0197a1b2-0000-7000-8000-000000000000","status":"RUNNING"}');
const HEADERS = ["content-type", "application/json", "content-length", String(REPLY.length)];

const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
  request.resume().on("end", () => response.writeHead(200, HEADERS).end(REPLY));
});
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") process.stdout.write(`${address.port}\n`);
});
