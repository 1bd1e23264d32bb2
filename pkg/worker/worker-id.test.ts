import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { ConfigError } from "#pkg/config/index.ts";
import { defaultWorkerId, workerIdFault } from "./worker-id.ts";

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A metadata server of our own, that answers only what asks as Google's wants to be asked. */
async function metadataServer(answer: string | undefined): Promise<string> {
  const server = createServer((request, response) => {
    const isAsked = request.headers["metadata-flavor"] === "Google";
    if (answer === undefined) return;
    response.statusCode = isAsked && request.url === "/computeMetadata/v1/instance/id" ? 200 : 404;
    response.end(answer);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const of = (env: Record<string, string>, hostname = "localhost") =>
  defaultWorkerId({ env, hostname, clock: systemClock });

describe("the default WORKER_ID", () => {
  it("is the host name", async () => {
    expect(await of({}, "node-7.example.com")).toBe("node-7.example.com");
  });

  it.each(["", "localhost", "no good"])("a host called %j must be given one", async (hostname) => {
    await expect(of({}, hostname)).rejects.toThrow(ConfigError);
  });

  it.each(["K_SERVICE", "CLOUD_RUN_WORKER_POOL"])(
    "on Cloud Run (%s) is the service's name and the tail of the instance's id",
    async (name) => {
      const host = await metadataServer("00f46b92850123456789abcdef\n");
      expect(await of({ [name]: "jennah-worker", GCE_METADATA_HOST: host })).toBe(
        "jennah-worker-456789abcdef",
      );
    },
  );

  it.each(["<html>", undefined])(
    "a metadata server that answers %j is a fault of the settings",
    async (answer) => {
      const host = await metadataServer(answer);
      await expect(of({ K_SERVICE: "w", GCE_METADATA_HOST: host })).rejects.toThrow(/WORKER_ID: is required/);
    },
  );
});

describe("a WORKER_ID", () => {
  it.each(["worker-1", "0", "a.b_c", "x".repeat(64)])("may be %s", (id) =>
    expect(workerIdFault(id)).toBeUndefined(),
  );
  it.each(["", "-a", "a b", "a/b", "ä", "x".repeat(65)])("may not be %j", (id) =>
    expect(workerIdFault(id)).toBeDefined(),
  );
});
