import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type FieldViolation, InvalidArgumentError, PermissionDeniedError } from "#pkg/errors/index.ts";
import { checkServiceAccount, SPEC_LIMITS, type SpecInput, targetFault, validateSpec } from "./index.ts";

const NOW_MS = 1_700_000_000_000;

function input(changes: Partial<SpecInput> = {}): SpecInput {
  return {
    imageUri: "alpine",
    envVars: {},
    name: "",
    entrypoint: "",
    commands: [],
    resourceProfile: "",
    resourceOverride: undefined,
    machineType: "",
    bootDiskSizeGb: 0,
    useSpotVms: false,
    serviceAccount: "",
    maxRetries: 0,
    priority: undefined,
    labels: {},
    target: "",
    notBeforeMs: undefined,
    ...changes,
  };
}

function violationsOf(changes: Partial<SpecInput>): readonly FieldViolation[] {
  try {
    validateSpec(input(changes), NOW_MS);
  } catch (error) {
    if (error instanceof InvalidArgumentError) return error.violations;
    throw error;
  }
  return [];
}

function fieldsOf(changes: Partial<SpecInput>): readonly string[] {
  return violationsOf(changes).map(({ field }) => field);
}

describe("image references", () => {
  it.each([
    "alpine",
    "alpine:3.20",
    "gcr.io/p/app:latest",
    "localhost:5000/a/b/c",
    "registry.example.com:5000/team/app_x__y-z.w:V1.0_a@sha256:".concat("a".repeat(64)),
    "[2001:db8::1]:5000/app",
    `alpine@sha512:${"0".repeat(128)}`,
    `app:${"t".repeat(128)}`,
    "a".repeat(255),
  ])("%s is one", (imageUri) => {
    expect(fieldsOf({ imageUri })).toEqual([]);
  });

  it.each([
    "",
    " ",
    "Alpine",
    "alpine:",
    "alpine:tag:tag",
    "https://gcr.io/p/app",
    "gcr.io//app",
    "gcr.io/p/app/",
    "/app",
    "app:-x",
    `app:${"t".repeat(129)}`,
    "app@sha256:abc",
    `app@sha256:${"a".repeat(63)}`,
    `app@sha256:${"g".repeat(64)}`,
    "app name",
    "app\n",
    "app\0",
    "-app",
    "a..b",
    "a".repeat(256),
    `app:${"t".repeat(5000)}`,
  ])("%j is none", (imageUri) => {
    expect(fieldsOf({ imageUri })).toEqual(["image_uri"]);
  });

  it("a long malformed one is refused in little time", () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z._/-]{900,1024}$/), (imageUri) => {
        violationsOf({ imageUri: `${imageUri}!` });
      }),
      { interruptAfterTimeLimit: 5000, markInterruptAsFailure: true },
    );
  });
});

describe("a spec", () => {
  const atLimits: readonly (readonly [string, Partial<SpecInput>, Partial<SpecInput>])[] = [
    ["name", { name: "ü".repeat(63) }, { name: "ü".repeat(64) }],
    ["name", { name: "😀".repeat(63) }, { name: "😀".repeat(64) }],
    ["max_retries", { maxRetries: 10 }, { maxRetries: 11 }],
    ["max_retries", { maxRetries: 0 }, { maxRetries: -1 }],
    ["priority", { priority: 0 }, { priority: -1 }],
    ["priority", { priority: 10 }, { priority: 11 }],
    ["boot_disk_size_gb", { bootDiskSizeGb: 65_536 }, { bootDiskSizeGb: -1 }],
    ["resource_profile", { resourceProfile: "xlarge" }, { resourceProfile: "huge" }],
    ["resource_profile", { resourceProfile: "small" }, { resourceProfile: "constructor" }],
    ["resource_override.cpu_millis", override({ cpuMillis: 1 }), override({ cpuMillis: 0 })],
    ["resource_override.memory_mib", override({ memoryMib: 1 }), override({ memoryMib: -5 })],
    [
      "resource_override.max_run_duration_seconds",
      override({ maxRunDurationSeconds: 1 }),
      override({ maxRunDurationSeconds: 0 }),
    ],
    ["resource_override.gpu_count", override({ gpuCount: 64 }), override({ gpuCount: 65 })],
    [
      "resource_override.gpu_type",
      override({ gpuCount: 1, gpuType: "nvidia-tesla-t4" }),
      override({ gpuType: "nvidia-tesla-t4" }),
    ],
    ["env_vars", { envVars: envOf(256) }, { envVars: envOf(257) }],
    ["env_vars", { envVars: { A: "x".repeat(32 * 1024 - 1) } }, { envVars: { A: "x".repeat(32 * 1024) } }],
    ["env_vars", { envVars: { A: "ü".repeat(16 * 1024 - 1) } }, { envVars: { A: "ü".repeat(16 * 1024) } }],
    ["env_vars", { envVars: { _a9: "" } }, { envVars: { "9a": "" } }],
    ["env_vars", { envVars: JSON.parse('{"__proto__":"x"}') }, { envVars: { "a-b": "" } }],
    ["env_vars", { envVars: { A: "\n" } }, { envVars: { A: "\0" } }],
    ["env_vars", { envVars: { A: "😀" } }, { envVars: { A: "\ud83d" } }],
    ["env_vars", { envVars: { A: "" } }, { envVars: { "": "" } }],
    ["labels", { labels: { "a b": "" } }, { labels: { "": "x" } }],
    ["labels", { labels: { ["k".repeat(63)]: "v".repeat(255) } }, { labels: { ["k".repeat(64)]: "" } }],
    ["labels", { labels: { k: "v" } }, { labels: { k: "v".repeat(256) } }],
    ["commands", { commands: Array(1024).fill("x") }, { commands: Array(1025).fill("x") }],
    ["commands", { commands: ["x".repeat(65_536)] }, { commands: ["x".repeat(65_537)] }],
    ["commands[1]", { commands: ["a", "b"] }, { commands: ["a", "\0"] }],
    ["entrypoint", { entrypoint: "x".repeat(4096) }, { entrypoint: "x".repeat(4097) }],
    ["machine_type", { machineType: "e2-standard-4" }, { machineType: "e2 standard" }],
    ["service_account", { serviceAccount: "a@b.iam.gserviceaccount.com" }, { serviceAccount: "a\nb" }],
    ["target", { target: "gcp/p/europe-west1" }, { target: "gcp/p" }],
    [
      "not_before",
      { notBeforeMs: NOW_MS + SPEC_LIMITS.notBeforeMs },
      { notBeforeMs: NOW_MS + SPEC_LIMITS.notBeforeMs + 1 },
    ],
    ["not_before", { notBeforeMs: 0 }, { notBeforeMs: Number.NaN }],
  ];
  it.each(atLimits)("%s: what is allowed passes, what is beyond is refused by name", (field, good, bad) => {
    expect(fieldsOf(good)).toEqual([]);
    expect(fieldsOf(bad)).toEqual([field]);
  });

  it("tells all violations at once", () => {
    expect(
      fieldsOf({ imageUri: "", name: "x".repeat(64), maxRetries: 99, envVars: { "1": "", "2": "" } }),
    ).toEqual(["image_uri", "name", "env_vars", "env_vars", "max_retries"]);
  });

  it("never shows a value of env_vars", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (noise) => {
        const envVars = { "bad name": `marker${noise}`, GOOD: `marker${noise}\0` };
        const told = JSON.stringify(violationsOf({ envVars }));
        expect(told).not.toContain("marker");
        expect(told).toContain("bad name");
      }),
    );
  });

  it("gets its defaults, and its env's names sorted, without values", () => {
    const { spec, env } = validateSpec(input({ envVars: { B: "secret", A: "2" } }), NOW_MS);
    expect(spec).toMatchObject({
      resourceProfile: "medium",
      priority: 5,
      maxRetries: 0,
      envNames: ["A", "B"],
    });
    expect(JSON.stringify(spec)).not.toContain("secret");
    expect(env).toEqual({ B: "secret", A: "2" });
  });

  it("names a service account only where the deployment allows it", () => {
    checkServiceAccount({ serviceAccount: "" }, []);
    checkServiceAccount({ serviceAccount: "a" }, ["b", "a"]);
    expect(() => checkServiceAccount({ serviceAccount: "a" }, ["b"])).toThrow(PermissionDeniedError);
  });
});

describe("targets", () => {
  it.each([
    "gcp/my-project/europe-west1",
    "aws/123456789012/eu-central-1/my_queue",
    "azure/acct.westeurope.batch.azure.com/pool1",
    "local/3f2a/9c0d",
  ])("%s is one", (target) => expect(targetFault(target)).toBeUndefined());
  it.each([
    "gcp",
    "gcp/",
    "gcp//x",
    "gcp/a/b/c",
    "aws/1/2",
    "ibm/a/b",
    "__proto__/a/b",
    "gcp/a /b",
    "/gcp/a/b",
  ])("%s is none", (target) => expect(targetFault(target)).toBeDefined());
});

function override(resourceOverride: NonNullable<SpecInput["resourceOverride"]>): Partial<SpecInput> {
  return { resourceOverride };
}

function envOf(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`V${index}`, ""]));
}
