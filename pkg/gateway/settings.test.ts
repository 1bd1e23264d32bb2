import { describe, expect, it } from "vitest";
import { ConfigError } from "#pkg/config/index.ts";
import { readGatewaySettings } from "./settings.ts";

const URLS = { WORKER_URLS: "http://a:1" };

function workersOf(value: string) {
  return readGatewaySettings({ WORKER_URLS: value }).workers.map(({ name, url }) => `${name} ${url.origin}`);
}

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    readGatewaySettings(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe("settings of the gateway", () => {
  it("have the defaults of the design", () => {
    expect(readGatewaySettings(URLS)).toMatchObject({
      host: "0.0.0.0",
      port: 8080,
      healthIntervalMs: 2000,
      workerAuth: "none",
      metadataHost: "metadata.google.internal",
      unaryTimeoutMs: 60_000,
      maxRequestBytes: 1_048_576,
      drainMs: 30_000,
      logLevel: "info",
      logFormat: undefined,
    });
  });

  it("take a worker as name=url, url or bare host, split by commas or spaces", () => {
    expect(
      workersOf("worker-1=http://h:9, http://b:7 10.0.0.1 host:99 [::1] w=c s=https://d https://e.run.app"),
    ).toEqual([
      "worker-1 http://h:9",
      "b:7 http://b:7",
      "10.0.0.1:8081 http://10.0.0.1:8081",
      "host:99 http://host:99",
      "[::1]:8081 http://[::1]:8081",
      "w http://c:8081",
      "s https://d",
      "e.run.app https://e.run.app",
    ]);
    expect(readGatewaySettings({ WORKER_IPS: "10.0.0.1" }).workers).toHaveLength(1);
  });

  it("take PORT where GATEWAY_PORT is not set, and on Cloud Run always", () => {
    const portOf = (env: Record<string, string>) => readGatewaySettings({ ...URLS, ...env }).port;
    expect(portOf({ PORT: "1" })).toBe(1);
    expect(portOf({ PORT: "1", GATEWAY_PORT: "2" })).toBe(2);
    expect(portOf({ PORT: "1", GATEWAY_PORT: "2", K_SERVICE: "s" })).toBe(1);
    expect(portOf({ GATEWAY_PORT: "2", K_SERVICE: "s" })).toBe(2);
    expect(readGatewaySettings({ ...URLS, K_SERVICE: "s" }).drainMs).toBe(8000);
  });

  it("send tokens over https, and in the clear to loopback alone", () => {
    const google = { WORKER_AUTH: "google-id-token" };
    const fine = "https://a http://127.0.0.1:1 http://localhost:1 http://[::1]:1";
    expect(readGatewaySettings({ ...google, WORKER_URLS: fine }).workerAuth).toBe("google-id-token");
    for (const url of ["http://worker", "10.0.0.1", "http://127.0.0.1.example", "http://localhost.example"]) {
      const faults = faultsOf({ ...google, WORKER_URLS: `https://a ${url}` });
      expect(faults).toHaveLength(1);
      expect(faults[0]).toMatch(/^WORKER_URLS: .* in the clear; write https$/);
    }
    expect(faultsOf({ ...URLS, WORKER_AUTH: "oauth" })[0]).toMatch(/^WORKER_AUTH: must be one of none, goo/);
  });

  it("take a metadata server as host or host:port", () => {
    const hostOf = (host: string) => readGatewaySettings({ ...URLS, GCE_METADATA_HOST: host }).metadataHost;
    for (const host of ["169.254.169.254:80", "metadata", "[::1]:1"]) expect(hostOf(host)).toBe(host);
    for (const host of ["http://metadata", "metadata/x", "a@b", "a:b", "a?b"]) {
      expect(faultsOf({ ...URLS, GCE_METADATA_HOST: host })[0]).toMatch(/^GCE_METADATA_HOST: must be a host/);
    }
  });

  it.each([
    ["http://u:hunter2@h/", '"http://***@h/"'],
    ["w=https://u:hunter2@h", '"w=https://***@h"'],
    ["u:hunter2@h:8081", '"***@h:8081"'],
    ["http://hunter2@h", '"http://***@h"'],
    ["http://u:hunter2/x@h", '"http://***@h"'],
  ])("%s holds credentials, which are the fault and are not shown", (item, shown) => {
    const faults = faultsOf({ WORKER_URLS: `http://a ${item}` });
    expect(faults).toEqual([expect.stringMatching(/^WORKER_URLS: .* holds credentials .*leave them out$/)]);
    expect(faults[0]).toContain(shown);
    expect(faults[0]).not.toContain("hunter2");
  });

  it("show no piece of a password that a comma split", () => {
    const faults = faultsOf({ WORKER_URLS: "http://u:hun,ter2,x@h", GCE_METADATA_HOST: "u:hunter2@h" });
    expect(faults.length).toBeGreaterThan(1);
    expect(faults.join()).not.toMatch(/hun|ter2|u:/);
  });

  it("tell all faults at once", () => {
    const faults = faultsOf({
      GATEWAY_PORT: "99999",
      WORKER_URLS: "gopher://a ftp://b a=http://c a=http://d http://e/path",
      LOG_LEVEL: "loud",
    });
    expect(faults.map((fault) => fault.split(":")[0])).toEqual([
      "GATEWAY_PORT",
      "LOG_LEVEL",
      "WORKER_URLS",
      "WORKER_URLS",
      "WORKER_URLS",
      "WORKER_URLS",
    ]);
    expect(faultsOf({})).toEqual(["WORKER_URLS: is required"]);
  });
});
