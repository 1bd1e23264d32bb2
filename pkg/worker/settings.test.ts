import { describe, expect, it } from "vitest";
import { ConfigError } from "#pkg/config/index.ts";
import { checkSettle, readWorkerSettings } from "./settings.ts";

const LOCAL = { BATCH_PROVIDER: "local", DB_PROVIDER: "sqlite" };

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    readWorkerSettings(env, false);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe("the worker's settings", () => {
  it("have the defaults of the reference", () => {
    expect(readWorkerSettings(LOCAL, false)).toMatchObject({
      WORKER_PORT: 8081,
      WORKER_HOST: "127.0.0.1",
      WORKER_ADVERTISE_URL: undefined,
      WORKER_ID: undefined,
      WORKER_LEASE_TTL_SECONDS: 30_000,
      WORKER_CLAIM_INTERVAL_SECONDS: 5_000,
      WORKER_MAX_ACTIVE_JOBS: 20_000,
      ALLOWED_SERVICE_ACCOUNTS: [],
      ORPHAN_POLICY: "report",
      DB_PATH: ".jennah/jennah.db",
      SUBMIT_WAIT_SECONDS: 10_000,
      SETTLE_SECONDS: 60_000,
      LOCAL_WORKDIR: ".jennah/local",
      LOCAL_ALLOW_REMOTE: false,
      MAX_REQUEST_BYTES: 1_048_576,
      DRAIN_SECONDS: 30_000,
      LOG_LEVEL: "info",
      LOG_FORMAT: "json",
    });
    expect(readWorkerSettings(LOCAL, true).LOG_FORMAT).toBe("pretty");
  });

  it("listen everywhere, and wait longer on a cloud that honours late requests", () => {
    const aws = { BATCH_REGION: "eu-central-1", AWS_ACCOUNT_ID: "123456789012", AWS_JOB_QUEUE: "q" };
    const settings = readWorkerSettings(
      { ...aws, BATCH_PROVIDER: "aws", DB_PROVIDER: "postgres", DATABASE_URL: "postgres://h/d" },
      false,
    );
    expect(settings).toMatchObject({ WORKER_HOST: "0.0.0.0", SETTLE_SECONDS: 960_000 });
  });

  it("tell all faults at once, also those between settings", () => {
    expect(
      faultsOf({
        ...LOCAL,
        WORKER_PORT: "99999",
        WORKER_HOST: "0.0.0.0",
        WORKER_ID: "a b",
        LOG_LEVEL: "loud",
        CLOUD_RUN_WORKER_POOL: "pool",
      }).map((fault) => fault.split(":")[0]),
    ).toEqual(["WORKER_PORT", "WORKER_ID", "LOG_LEVEL", "DB_PROVIDER", "WORKER_HOST"]);
  });

  it.each([
    [{ BATCH_PROVIDER: "gcp" }, ["BATCH_REGION", "BATCH_PROJECT_ID"]],
    [{ BATCH_PROVIDER: "aws" }, ["BATCH_REGION", "AWS_ACCOUNT_ID", "AWS_JOB_QUEUE"]],
    [
      { BATCH_PROVIDER: "azure" },
      ["AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_BATCH_ACCOUNT_URL", "AZURE_BATCH_POOL_ID"],
    ],
    [{ DB_PROVIDER: "postgres" }, ["DATABASE_URL"]],
    [{ DB_PROVIDER: "spanner" }, ["DB_PROJECT_ID", "DB_INSTANCE", "DB_DATABASE"]],
    [{ DB_PROVIDER: "dynamodb" }, []],
    [{ BATCH_PROVIDER: "" }, ["BATCH_PROVIDER"]],
    [{ DB_PROVIDER: "mysql" }, ["DB_PROVIDER"]],
  ])("%j requires %j", (changes, names) => {
    expect(faultsOf({ ...LOCAL, ...changes }).map((fault) => fault.split(":")[0])).toEqual(names);
  });

  it("on a Cloud Run service, PORT wins, the drain is short, and sqlite is refused", () => {
    const cloudRun = { K_SERVICE: "worker", PORT: "9000", WORKER_PORT: "tcp://10.0.0.1:80" };
    const spanner = { DB_PROVIDER: "spanner", DB_PROJECT_ID: "p", DB_INSTANCE: "i", DB_DATABASE: "d" };
    const settings = readWorkerSettings({ ...LOCAL, ...spanner, ...cloudRun }, false);
    expect(settings).toMatchObject({ WORKER_PORT: 9000, DRAIN_SECONDS: 8_000 });
    expect(faultsOf({ ...LOCAL, ...cloudRun })[0]).toContain("sqlite");
  });

  it("elsewhere WORKER_PORT wins over PORT", () => {
    expect(readWorkerSettings({ ...LOCAL, PORT: "9000" }, false).WORKER_PORT).toBe(9000);
    expect(readWorkerSettings({ ...LOCAL, PORT: "9000", WORKER_PORT: "9001" }, false).WORKER_PORT).toBe(9001);
  });

  it("know what Kubernetes sets for a Service called worker", () => {
    expect(faultsOf({ ...LOCAL, WORKER_PORT: "tcp://10.0.0.1:80" })[0]).toContain("enableServiceLinks");
  });

  it.each(["0.0.0.0", "::", "10.0.0.1", "127.0.0.1.example.com"])(
    "the local provider is not exposed on %s unless that is asked for",
    (WORKER_HOST) => {
      expect(faultsOf({ ...LOCAL, WORKER_HOST })[0]).toContain("LOCAL_ALLOW_REMOTE");
      expect(faultsOf({ ...LOCAL, WORKER_HOST, LOCAL_ALLOW_REMOTE: "true" })).toEqual([]);
    },
  );

  it.each(["127.0.0.1", "localhost", "::1", "127.9.9.9"])("%s is loopback", (WORKER_HOST) => {
    expect(faultsOf({ ...LOCAL, WORKER_HOST })).toEqual([]);
  });

  it("an endpoint in the clear is a loopback one", () => {
    expect(faultsOf({ ...LOCAL, BATCH_ENDPOINT: "http://localhost:9" })).toEqual([]);
    expect(faultsOf({ ...LOCAL, BATCH_ENDPOINT: "https://batch.example.com" })).toEqual([]);
    expect(faultsOf({ ...LOCAL, BATCH_ENDPOINT: "http://batch.example.com" })[0]).toContain("must be https");
  });

  it("no secret shows in a fault", () => {
    const faults = faultsOf({ ...LOCAL, SECRETS_KEY: "hunter2", WORKER_PORT: "x" });
    expect(faults).toHaveLength(2);
    expect(faults.join()).not.toContain("hunter2");
  });

  it.each(["WORKER_ADVERTISE_URL", "BATCH_ENDPOINT", "AZURE_BATCH_ACCOUNT_URL", "DB_ENDPOINT"])(
    "%s holds no credentials, and those that it holds are not shown",
    (name) => {
      for (const value of [
        "ftp://u:hunter2@h",
        "https://u:hunter2@h",
        "http://hunter2@127.0.0.1",
        "u:hunter2@h",
      ]) {
        const faults = faultsOf({ ...LOCAL, [name]: value });
        expect(faults).toEqual([expect.stringMatching(`^${name}: .* without credentials `)]);
        expect(faults[0]).not.toContain("hunter2");
      }
    },
  );

  it.each(["DB_PATH", "LOCAL_WORKDIR"])("%s is no URL, whose password would be a folder's name", (name) => {
    const faults = faultsOf({ ...LOCAL, [name]: "postgres://u:hunter2@h/d" });
    expect(faults).toEqual([`${name}: must be a path and no URL, not "postgres://***@h/d"`]);
  });

  it("SETTLE_SECONDS must cover the TTL and what a request may outlive its caller", () => {
    const settings = { WORKER_LEASE_TTL_SECONDS: 30_000, SETTLE_SECONDS: 60_000 };
    checkSettle(settings, 30_000);
    expect(() => checkSettle(settings, 30_001)).toThrow(ConfigError);
    expect(faultsOf({ ...LOCAL, SETTLE_SECONDS: "35" })).toEqual([]);
    // With the others, and before any provider is made.
    const faults = faultsOf({ ...LOCAL, SETTLE_SECONDS: "34.9", WORKER_PORT: "x" });
    expect(faults.map((fault) => fault.split(":")[0])).toEqual(["WORKER_PORT", "SETTLE_SECONDS"]);
  });
});
