import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  DeleteJobRequestSchema,
  GetJobRequestSchema,
  SubmitJobRequestSchema,
} from "#gen/jennah/v1/deployment_service_pb.js";
import { JobSchema } from "#gen/jennah/v1/job_pb.js";
import { systemEntropy } from "#pkg/clock/index.ts";
import {
  AlreadyExistsError,
  type CallerError,
  DeadlineExceededError,
  FailedPreconditionError,
  InvalidArgumentError,
  InvariantError,
  NotFoundError,
  PermissionDeniedError,
  ResourceExhaustedError,
  UnauthenticatedError,
  UnavailableError,
} from "#pkg/errors/index.ts";
import { createKeyring, JobStatus } from "#pkg/job/index.ts";
import type { JobFilter, PageCursor } from "#pkg/store/index.ts";
import { canonicalRequest } from "./canonical-request.ts";
import { toConnectError } from "./errors.ts";
import { statusFromProto, statusToProto } from "./job-to-proto.ts";
import { momentOf } from "./moments.ts";
import { decodePageToken, encodePageToken, type PageScope } from "./page-token.ts";
import { refuseUnknownFields } from "./unknown-fields.ts";

describe("errors", () => {
  const make = (type: new (reason: string, message: string) => CallerError) => new type("WHY", "words");
  it.each([
    [new InvalidArgumentError([{ field: "f", description: "d" }]), Code.InvalidArgument],
    [make(UnauthenticatedError), Code.Unauthenticated],
    [make(PermissionDeniedError), Code.PermissionDenied],
    [make(NotFoundError), Code.NotFound],
    [make(FailedPreconditionError), Code.FailedPrecondition],
    [make(AlreadyExistsError), Code.AlreadyExists],
    [make(ResourceExhaustedError), Code.ResourceExhausted],
    [make(DeadlineExceededError), Code.DeadlineExceeded],
    [new UnavailableError("WHY", "words"), Code.Unavailable],
    [new DOMException("gone", "AbortError"), Code.Canceled],
    [new InvariantError("secret detail"), Code.Internal],
    ["thrown text", Code.Internal],
  ])("%s has its own code, and is kept as the cause", (error, code) => {
    const told = toConnectError(error, "req-1");
    expect(told.code).toBe(code);
    expect(told.cause).toBe(error);
    expect(told.rawMessage).not.toContain("secret");
  });

  it("Retry-After is whole seconds, rounded up", () => {
    const told = toConnectError(new UnavailableError("WHY", "words", { retryAfterMs: 1200 }), "r");
    expect(told.metadata.get("Retry-After")).toBe("2");
  });
});

describe("page tokens", () => {
  const keyring = createKeyring([new Uint8Array(32).fill(1)], systemEntropy);
  const rotated = createKeyring([new Uint8Array(32).fill(2), new Uint8Array(32).fill(1)], systemEntropy);
  const filter = fc.record({
    statuses: fc.uniqueArray(fc.constantFrom(...Object.values(JobStatus))),
    namePrefix: fc.string(),
    labels: fc.dictionary(fc.string(), fc.string()),
    kind: fc.string(),
    createdAfterMs: fc.option(fc.integer(), { nil: undefined }),
    createdBeforeMs: fc.option(fc.integer(), { nil: undefined }),
  }) satisfies fc.Arbitrary<JobFilter>;
  const scope: fc.Arbitrary<PageScope> = fc.record({ tenantId: fc.stringMatching(/^[a-z]{1,9}$/), filter });
  const cursor: fc.Arbitrary<PageCursor> = fc.record({
    createdAtMs: fc.integer({ min: 0, max: 2 ** 48 }),
    jobId: fc.uuid({ version: 7 }),
  });

  it("lead back to their place, also after a change of keys", () => {
    fc.assert(
      fc.property(scope, cursor, (where, place) => {
        const token = encodePageToken(keyring, where, place);
        expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodePageToken(keyring, where, token)).toEqual(place);
        expect(decodePageToken(rotated, where, token)).toEqual(place);
      }),
    );
  });

  it("are worth nothing elsewhere, or altered", () => {
    fc.assert(
      fc.property(scope, cursor, fc.nat(), (where, place, at) => {
        const token = encodePageToken(keyring, where, place);
        const { filter } = where;
        const statuses = Object.values(JobStatus).filter((status) => !filter.statuses.includes(status));
        for (const other of [
          { ...where, tenantId: `${where.tenantId}x` },
          { ...where, filter: { ...filter, statuses } },
          { ...where, filter: { ...filter, namePrefix: `${filter.namePrefix}x` } },
          { ...where, filter: { ...filter, labels: { ...filter.labels, "a label more": "" } } },
          { ...where, filter: { ...filter, kind: `${filter.kind}x` } },
          { ...where, filter: { ...filter, createdAfterMs: (filter.createdAfterMs ?? 0) + 1 } },
          { ...where, filter: { ...filter, createdBeforeMs: (filter.createdBeforeMs ?? 0) + 1 } },
        ]) {
          expect(() => decodePageToken(keyring, other, token)).toThrow("page_token");
        }
        const index = at % token.length;
        const altered = token.slice(0, index) + (token[index] === "A" ? "B" : "A") + token.slice(index + 1);
        expect(() => decodePageToken(keyring, where, altered)).toThrow("page_token");
      }),
    );
  });
});

describe("canonical requests", () => {
  it("tell apart what differs in one field, and nothing else", () => {
    const text = (init: Parameters<typeof create<typeof SubmitJobRequestSchema>>[1]) =>
      canonicalRequest(SubmitJobRequestSchema, create(SubmitJobRequestSchema, init));
    expect(text({ labels: { a: "1", b: "2" } })).toBe(text({ labels: { b: "2", a: "1" } }));
    const all = [
      {},
      { priority: 5 },
      { priority: 0 },
      { name: "a" },
      { commands: ["a", "b"] },
      { commands: ["ab"] },
    ];
    expect(new Set(all.map(text)).size).toBe(all.length);
    // Keys are shared by several RPCs, and what was called is part of what was asked.
    const [get, remove] = [GetJobRequestSchema, DeleteJobRequestSchema].map((schema) =>
      canonicalRequest(schema, create(schema, { jobId: "a" })),
    );
    expect(get).not.toBe(remove);
  });
});

describe("unknown fields", () => {
  const unknown = Buffer.of(0x92, 0x03, 1, 65);
  it.each([
    ["at the top", Buffer.from(unknown), "50"],
    ["in a message", Buffer.concat([Buffer.of(0x3a, 4), unknown]), "resource_override.50"],
    ["in a well-known message", Buffer.concat([Buffer.of(0x82, 0x01, 4), unknown]), "not_before.50"],
  ])("%s are found, and named", (_, bytes, field) => {
    const message = fromBinary(SubmitJobRequestSchema, bytes);
    expect(() => refuseUnknownFields(SubmitJobRequestSchema, message)).toThrow(`${field}: `);
  });

  it("in a list are found too", () => {
    const event = Buffer.concat([Buffer.of(0xe2, 0x03, 4), unknown]);
    expect(() => refuseUnknownFields(JobSchema, fromBinary(JobSchema, event))).toThrow("events.50: ");
  });

  it("a message without any passes", () => {
    const message = create(SubmitJobRequestSchema, {
      imageUri: "a",
      labels: { a: "b" },
      resourceOverride: {},
    });
    const bytes = toBinary(SubmitJobRequestSchema, message);
    refuseUnknownFields(SubmitJobRequestSchema, fromBinary(SubmitJobRequestSchema, bytes));
  });
});

describe("moments and statuses", () => {
  it.each([
    [undefined, undefined],
    [{ seconds: 1n, nanos: 1 }, 1001],
    [{ seconds: -1n, nanos: 0 }, -1000],
    [{ seconds: 253_402_300_800n, nanos: 0 }, Number.NaN],
    [{ seconds: 0n, nanos: -1 }, Number.NaN],
    [{ seconds: 0n, nanos: 1_000_000_000 }, Number.NaN],
  ])("case %#", (timestamp, ms) => {
    const message = timestamp && { $typeName: "google.protobuf.Timestamp" as const, ...timestamp };
    expect(momentOf(message)).toEqual(ms);
  });

  it("every status has its number, and back", () => {
    for (const status of Object.values(JobStatus))
      expect(statusFromProto(statusToProto(status))).toBe(status);
    expect(statusFromProto(0)).toBeUndefined();
    expect(statusFromProto(17 as never)).toBeUndefined();
  });
});
