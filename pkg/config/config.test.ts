import { describe, expect, it } from "vitest";
import {
  alias,
  boolean,
  ConfigError,
  integer,
  list,
  oneOf,
  optional,
  path,
  quoted,
  readSettings,
  required,
  seconds,
  secret,
  text,
  withDefault,
} from "./index.ts";

function faultsOf(read: () => unknown): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

describe("readSettings", () => {
  it("reads every kind of setting, with defaults where nothing is set", () => {
    const settings = readSettings(
      {
        PORT: withDefault(integer(0, 65535), 8080),
        WORKER_URLS: alias(list(), "WORKER_IPS"),
        TTL_SECONDS: seconds(1, 60),
        REMOTE: withDefault(boolean(), false),
        FORMAT: optional(oneOf("json", "pretty")),
        PROJECT: required(text(), false),
      },
      { WORKER_IPS: "a, b c", TTL_SECONDS: "1.5", REMOTE: "True", PORT: "", FORMAT: " json " },
    );
    expect(settings).toEqual({
      PORT: 8080,
      WORKER_URLS: ["a", "b", "c"],
      TTL_SECONDS: 1500,
      REMOTE: true,
      FORMAT: "json",
      PROJECT: undefined,
    });
  });

  it("finds all faults at once, each with the name that was set", () => {
    const faults = faultsOf(() =>
      readSettings(
        {
          PORT: integer(1, 65535),
          PROVIDER: oneOf("gcp", "local"),
          URLS: alias(text(), "IPS"),
          N: withDefault(integer(0, 9), 1),
        },
        { PORT: "70000", PROVIDER: "gpc", N: "ten" },
      ),
    );
    expect(faults).toEqual([
      'PORT: must be a whole number from 1 to 65535, not "70000"',
      'PROVIDER: must be one of gcp, local, not "gpc"',
      "URLS: is required",
      'N: must be a whole number from 0 to 9, not "ten"',
    ]);
  });

  it("never shows a secret", () => {
    const faults = faultsOf(() => readSettings({ KEY: secret(integer(0, 1)) }, { KEY: "hunter2" }));
    expect(faults).toEqual(["KEY: must be a whole number from 0 to 1"]);
    expect(faultsOf(() => readSettings({ KEY: secret(integer(0, 1)) }, { KEY: "tcp://hunter2" }))).toEqual(
      faults,
    );
  });

  it("never shows the user and the password of a URL", () => {
    const faults = faultsOf(() =>
      readSettings(
        { PORT: integer(0, 1), LINK: integer(0, 1), DB_PATH: path() },
        { PORT: "http://u:hunter2@h:8", LINK: "tcp://u:hunter2@h", DB_PATH: "postgres://u:hunter2@h/d" },
      ),
    );
    expect(faults).toHaveLength(3);
    expect(faults[0]).toBe('PORT: must be a whole number from 0 to 1, not "http://***@h:8"');
    expect(faults[2]).toBe('DB_PATH: must be a path and no URL, not "postgres://***@h/d"');
    expect(faults.join()).not.toContain("hunter2");
  });

  it.each([
    ["http://u:p@h/x", "http://***@h/x"],
    ["w=http://u:p@h", "w=http://***@h"],
    ["http://u:p/a@b=c@h", "http://***@h"],
    ["u:p=q@h:1", "***@h:1"],
    ["w=u:p@h", "***@h"],
    ["http://a http://u:p@h", "http://***@h"],
    ["http://h:80/x", "http://h:80/x"],
  ])("%s is quoted as %s", (value, shown) => {
    expect(quoted(value)).toBe(JSON.stringify(shown));
  });

  it("knows the variables that Kubernetes sets for a Service", () => {
    const faults = faultsOf(() =>
      readSettings({ WORKER_PORT: integer(1, 65535) }, { WORKER_PORT: "tcp://10.0.0.7:80" }),
    );
    expect(faults[0]).toContain("enableServiceLinks: false");
  });
});
