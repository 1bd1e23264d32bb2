import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DeploymentService } from "#gen/jennah/v1/deployment_service_pb.js";
import { type Harness, SERVICE, startHarness, TENANT } from "./harness.ts";

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

describe("a Connect GET", () => {
  it.each([
    ["a message that is base64", "base64=1&message=e30", 200, undefined],
    ["a message that is none though it says so", "base64=1&message=%25%25", 400, "invalid_argument"],
  ])("with %s", async (_, query, status, code) => {
    const url = `${harness.url}${SERVICE}/ListJobs?connect=v1&encoding=json&${query}`;
    const answer = await fetch(url, { headers: TENANT });
    const body = (await answer.json()) as { readonly code?: string; readonly message?: string };
    expect([answer.status, body.code]).toEqual([status, code]);
    if (code !== undefined) expect(body.message).toContain("message");
  });
});
