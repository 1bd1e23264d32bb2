import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readGatewaySettings } from "#pkg/gateway/index.ts";
import { readWorkerSettings } from "#pkg/worker/index.ts";

const ROOT = new URL("../../", import.meta.url);
const FOLDER = new URL("deploy/cloud-run/", ROOT);
const README = readFileSync(new URL("README.md", FOLDER), "utf8");
const FILES = readdirSync(FOLDER).filter((name) => /\.ya?ml$/.test(name));

/** What the README has its reader set, with values of the kind that belongs there. */
const FILLED: Readonly<Record<string, string>> = {
  PROJECT: "my-project",
  REGION: "europe-west1",
  REPOSITORY: "europe-west1-docker.pkg.dev/my-project/jennah",
  VERSION: "0.1.0",
  DB_INSTANCE: "jennah",
  DB_DATABASE: "main",
  WORKER: "jennah-worker",
  INSTANCES: "3",
  WORKER_URLS: "jennah-worker=https://jennah-worker-abc-ew.a.run.app",
};
/** What Cloud Run itself adds to each instance's environment. */
const GIVEN = { K_SERVICE: "service", K_REVISION: "service-00001", PORT: "9999" };

/** The file as it is applied. */
function filled(name: string): string {
  const text = readFileSync(new URL(name, FOLDER), "utf8");
  return text.replace(/\$\{(\w+)\}/g, (whole, key: string) => FILLED[key] ?? whole);
}

/** The names and values under `env:`; what comes from a secret is what that secret holds. */
function envOf(yaml: string): Record<string, string> {
  const entries = yaml.matchAll(/- name: ([A-Z]\w*)\n\s*(?:value: (?:"(.*)"|(.*))|valueFrom:)$/gm);
  const secret = Buffer.alloc(32, 7).toString("base64");
  return Object.fromEntries([...entries].map(([, name, quoted, bare]) => [name, quoted ?? bare ?? secret]));
}

/** The settings that exist: the keys of a table of readers, as its source states them. */
function settingsIn(path: string): string[] {
  const source = readFileSync(new URL(path, ROOT), "utf8");
  return [...source.matchAll(/^ {4}([A-Z][A-Z0-9_]+):/gm)].map(([, name = ""]) => name);
}

const SETTINGS = {
  gateway: settingsIn("pkg/gateway/settings.ts"),
  worker: settingsIn("pkg/worker/settings.ts"),
};

describe("the files for Cloud Run", () => {
  it("are those that the README tells of", () => {
    expect(FILES).toEqual(["gateway.yaml", "worker.yaml"]);
    for (const name of FILES) expect(README).toContain(name);
  });

  it.each(FILES)("%s leaves nothing to fill in but what the README says", (name) => {
    expect(filled(name)).not.toContain("$");
    const text = readFileSync(new URL(name, FOLDER), "utf8");
    for (const [, key] of text.matchAll(/\$\{(\w+)\}/g)) expect(README).toMatch(new RegExp(`\\b${key}=`));
  });

  it.each(FILES)("every env name in %s is a setting that exists", (name) => {
    const known = name.startsWith("gateway") ? SETTINGS.gateway : SETTINGS.worker;
    const names = Object.keys(envOf(filled(name)));
    expect(names.length).toBeGreaterThan(4);
    // Nothing that looks like one was overlooked.
    expect(names).toHaveLength([...filled(name).matchAll(/- name: [A-Z]/g)].length);
    expect(known).toEqual(expect.arrayContaining(names));
  });

  it("the gateway takes its environment as it stands", () => {
    const settings = readGatewaySettings({ ...envOf(filled("gateway.yaml")), ...GIVEN });
    expect(settings).toMatchObject({ port: 9999, workerAuth: "google-id-token", drainMs: 8000 });
    expect(settings.workers.map(({ url }) => url.protocol)).toEqual(["https:"]);
  });

  it("the worker takes its environment as it stands", () => {
    const settings = readWorkerSettings({ ...envOf(filled("worker.yaml")), ...GIVEN }, false);
    const { BATCH_PROVIDER, DB_PROVIDER, WORKER_PORT, WORKER_ID, DRAIN_SECONDS } = settings;
    expect({ BATCH_PROVIDER, DB_PROVIDER, WORKER_PORT, WORKER_ID, DRAIN_SECONDS }).toEqual({
      BATCH_PROVIDER: "gcp",
      DB_PROVIDER: "spanner",
      WORKER_PORT: 9999,
      // Two instances of one service must not share it: each takes its own.
      WORKER_ID: undefined,
      DRAIN_SECONDS: 8000,
    });
  });

  it.each(FILES)("%s has CPU between calls, an instance at all times, HTTP/2 and probes", (name) => {
    const yaml = filled(name);
    const settingOf = (key: string) => new RegExp(`^\\s*${key}: "?([^"\\n]*)"?$`, "m").exec(yaml)?.[1];
    expect(settingOf("run.googleapis.com/cpu-throttling")).toBe("false");
    expect(Number(settingOf("autoscaling.knative.dev/minScale"))).toBeGreaterThanOrEqual(1);
    expect(yaml).toMatch(/ports:\n(?:\s*#.*\n)*\s*- name: h2c\n/);
    const port = settingOf("containerPort");
    expect([...yaml.matchAll(/^\s*port: (\d+)$/gm)].map(([, each]) => each)).toEqual([port, port]);
    const probed = [...yaml.matchAll(/(\w+)Probe:\n\s*httpGet:\n\s*path: (\S+)/g)].map(([, kind, path]) => [
      kind,
      path,
    ]);
    expect(probed).toEqual([
      ["startup", name.startsWith("worker") ? "/ready" : "/health"],
      ["liveness", "/health"],
    ]);
    expect(settingOf("serviceAccountName")).toMatch(
      /^jennah-(gateway|worker)@my-project\.iam\.gserviceaccount\.com$/,
    );
  });

  it("every env name that the README shows in YAML is a setting that exists", () => {
    const names = [...README.matchAll(/(?:- name: |\{ name: )([A-Z][A-Z0-9_]*)/g)].map(([, name]) => name);
    expect(names.length).toBeGreaterThan(0);
    expect([...SETTINGS.gateway, ...SETTINGS.worker]).toEqual(expect.arrayContaining(names));
  });
});
