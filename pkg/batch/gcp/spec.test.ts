import { describe, expect, test } from "vitest";
import { DEPLOYMENT, requestFor } from "#pkg/batch/conformance/harness.ts";
import type { JobSpec } from "#pkg/job/index.ts";
import { environmentOf } from "./env.ts";
import { isOf } from "./labels.ts";
import { toBatchJob } from "./spec.ts";

const HERE = { region: "us-central1", serviceAccount: "" };

function mapped(spec: Partial<JobSpec>, env: Record<string, string> = {}, serviceAccount = "") {
  const request = requestFor({ entrypoint: "", commands: [] }, { spec, env });
  return { request, job: toBatchJob(request, environmentOf(env), { ...HERE, serviceAccount }) };
}

test("every field of a job has its place in the cloud's", () => {
  const { request, job } = mapped(
    {
      imageUri: "gcr.io/p/app:1",
      entrypoint: "/bin/sh",
      commands: ["-c", "echo hello"],
      name: "nightly",
      machineType: "n1-standard-4",
      bootDiskSizeGb: 50,
      useSpotVms: true,
      serviceAccount: "own@p.iam.gserviceaccount.com",
      priority: 9,
      maxRetries: 7,
      labels: { team: "a" },
      resourceOverride: {
        cpuMillis: 3500,
        memoryMib: 9000,
        maxRunDurationSeconds: 77,
        gpuCount: 2,
        gpuType: "nvidia-tesla-t4",
      },
    },
    { KEY: "value", PASSWORD: "secret://projects/p/secrets/s/versions/1" },
    "default@p.iam.gserviceaccount.com",
  );
  expect(job).toEqual({
    priority: 9,
    labels: {
      team: "a",
      "jennah-deployment": DEPLOYMENT,
      "jennah-job": request.jobId,
      "jennah-attempt": "1",
      "jennah-tenant": expect.stringMatching(/^[0-9a-f]{32}$/),
    },
    logsPolicy: { destination: "CLOUD_LOGGING" },
    taskGroups: [
      {
        taskCount: 1,
        parallelism: 1,
        taskSpec: {
          runnables: [
            {
              displayName: "nightly",
              container: {
                imageUri: "gcr.io/p/app:1",
                entrypoint: "/bin/sh",
                commands: ["-c", "echo hello"],
              },
            },
          ],
          environment: {
            variables: { KEY: "value" },
            secretVariables: { PASSWORD: "projects/p/secrets/s/versions/1" },
          },
          computeResource: { cpuMilli: 3500, memoryMib: 9000 },
          maxRunDuration: { seconds: 77 },
          maxRetryCount: 0,
        },
      },
    ],
    allocationPolicy: {
      location: { allowedLocations: ["regions/us-central1"] },
      instances: [
        {
          installGpuDrivers: true,
          policy: {
            machineType: "n1-standard-4",
            provisioningModel: "SPOT",
            bootDisk: { sizeGb: 50 },
            accelerators: [{ type: "nvidia-tesla-t4", count: 2 }],
          },
        },
      ],
      serviceAccount: { email: "own@p.iam.gserviceaccount.com" },
    },
  });
});

test("what is not asked for is left to the cloud, but for the machine, which is the smallest that fits", () => {
  const { job } = mapped({ resourceProfile: "medium" });
  expect(job.allocationPolicy).toEqual({
    location: { allowedLocations: ["regions/us-central1"] },
    instances: [
      { installGpuDrivers: false, policy: { machineType: "e2-standard-2", provisioningModel: "STANDARD" } },
    ],
  });
});

describe("GPUs", () => {
  const L4 = { type: "nvidia-l4", count: 1 };
  const T4 = { type: "nvidia-tesla-t4", count: 1 };
  test.each<[string, Partial<JobSpec>, object | undefined, boolean]>([
    ["are attached to N1", { machineType: "n1-standard-4", resourceOverride: { gpuCount: 1 } }, T4, true],
    ["are attached to N1 that is chosen", { resourceOverride: { gpuCount: 1 } }, T4, true],
    ["come with G2", { machineType: "g2-standard-8", resourceOverride: { gpuCount: 1 } }, undefined, true],
    [
      "come with G2, of its kind",
      { machineType: "g2-standard-8", resourceOverride: { gpuCount: 1, gpuType: "nvidia-l4" } },
      undefined,
      true,
    ],
    ["come with A2", { machineType: "a2-highgpu-1g", resourceOverride: { gpuCount: 1 } }, undefined, true],
    ["come with A3", { machineType: "a3-highgpu-8g", resourceOverride: { gpuCount: 8 } }, undefined, true],
    [
      "come with G2 that is chosen",
      { resourceOverride: { gpuCount: 1, gpuType: "nvidia-l4" } },
      undefined,
      true,
    ],
    ["come with G2, asked for or not", { machineType: "g2-standard-8" }, undefined, true],
    [
      "of a kind that is not known here are asked for as they were named",
      { machineType: "g4-standard-48", resourceOverride: { gpuCount: 1, gpuType: "nvidia-l4" } },
      L4,
      true,
    ],
    ["are on no other machine", { machineType: "e2-standard-4" }, undefined, false],
  ])("%s", (_, spec, accelerator, installGpuDrivers) => {
    const { job } = mapped(spec);
    const [instance] = job.allocationPolicy?.instances ?? [];
    expect(instance?.installGpuDrivers).toBe(installGpuDrivers);
    expect(instance?.policy?.accelerators).toEqual(accelerator && [accelerator]);
  });
});

test.each<[string, Partial<JobSpec>, object]>([
  ["all that a small one has", { machineType: "e2-small" }, { cpuMilli: 2000, memoryMib: 2048 }],
  ["all that a smaller one has", { machineType: "n1-standard-1" }, { cpuMilli: 1000, memoryMib: 3840 }],
  ["the default of a large one", { machineType: "n2-standard-8" }, { cpuMilli: 2000, memoryMib: 4096 }],
  ["the default of one that is not known", { machineType: "x9-tiny-1" }, { cpuMilli: 2000, memoryMib: 4096 }],
  [
    "what is asked for, and of the rest what it has",
    { machineType: "e2-small", resourceOverride: { cpuMillis: 500 } },
    { cpuMilli: 500, memoryMib: 2048 },
  ],
  [
    "the profile that is asked for",
    { machineType: "e2-small", resourceProfile: "small" },
    { cpuMilli: 1000, memoryMib: 2048 },
  ],
])("of a machine that it names a job gets %s", (_, spec, computeResource) => {
  const { job } = mapped({ resourceProfile: "medium", ...spec });
  expect(job.taskGroups?.[0]?.taskSpec?.computeResource).toEqual(computeResource);
});

test("a job that names no service account runs as the deployment's", () => {
  const { job } = mapped({}, {}, "default@p.iam.gserviceaccount.com");
  expect(job.allocationPolicy?.serviceAccount).toEqual({ email: "default@p.iam.gserviceaccount.com" });
});

test("a caller's labels cannot make a batch job another's", () => {
  const { request, job } = mapped({ labels: { "jennah-deployment": "x", "jennah-tenant": "y" } });
  expect(isOf(job.labels, request)).toBe(true);
  expect(isOf(job.labels, { ...request, tenantId: "tenant-b" })).toBe(false);
  expect(isOf({}, request)).toBe(false);
});

test("the label of a tenant tells nobody who it is, and is valid whatever its id", () => {
  const { request } = mapped({});
  const odd = toBatchJob({ ...request, tenantId: "ACME.Corp" }, environmentOf({}), HERE);
  expect(odd.labels?.["jennah-tenant"]).toMatch(/^[0-9a-f]{32}$/);
});
