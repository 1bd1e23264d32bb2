import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import { type Harness, startHarness, TENANT } from "./harness.ts";

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness[Symbol.asyncDispose]());

describe("every protocol", () => {
  it.each([
    ["Connect, binary, HTTP/1.1", createConnectTransport, { httpVersion: "1.1", useBinaryFormat: true }],
    ["Connect, JSON, HTTP/2", createConnectTransport, { httpVersion: "2", useBinaryFormat: false }],
    ["Connect by GET", createConnectTransport, { httpVersion: "1.1", useHttpGet: true }],
    ["gRPC-Web, HTTP/1.1", createGrpcWebTransport, { httpVersion: "1.1" }],
    ["gRPC-Web, HTTP/2", createGrpcWebTransport, { httpVersion: "2" }],
  ] as const)("%s submits and reads back", async (_, createTransport, options) => {
    const transport = (createTransport as (options: object) => ReturnType<typeof createConnectTransport>)({
      baseUrl: harness.url,
      ...options,
    });
    const client = createClient(DeploymentService, transport);
    const { jobId } = await client.submitJob({ imageUri: "a", entrypoint: "b" }, { headers: TENANT });
    expect((await client.getJob({ jobId }, { headers: TENANT })).job?.jobId).toBe(jobId);
  });
});
