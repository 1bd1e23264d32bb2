import { expect, test } from "vitest";
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
