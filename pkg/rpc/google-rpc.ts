import { create, createFileRegistry, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type FieldDescriptorProto,
  FieldDescriptorProtoSchema,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  file_google_protobuf_duration,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { type FieldViolation, InvariantError } from "#pkg/errors/index.ts";

/** One detail of an error, as `ConnectError` takes it. */
export interface ErrorDetail {
  readonly desc: DescMessage;
  readonly value: MessageInitShape<DescMessage>;
}

const PACKAGE = "google.rpc";
const ERROR_DOMAIN = "jennah";

/** `google.rpc.BadRequest`: which fields are wrong. */
export function badRequest(violations: readonly FieldViolation[]): ErrorDetail {
  return detail("BadRequest", {
    fieldViolations: violations.map(({ field, description }) => ({ field, description })),
  });
}

/** `google.rpc.ErrorInfo`: the reason for programs. */
export function errorInfo(reason: string): ErrorDetail {
  return detail("ErrorInfo", { reason, domain: ERROR_DOMAIN });
}

/** `google.rpc.RetryInfo`: when to try again. */
export function retryInfo(retryAfterMs: number): ErrorDetail {
  const seconds = Math.floor(retryAfterMs / 1000);
  const nanos = Math.round(retryAfterMs % 1000) * 1_000_000;
  return detail("RetryInfo", { retryDelay: { seconds: BigInt(seconds), nanos } });
}

/** All three, to read them by. */
export const errorDetails = createFileRegistry(
  create(FileDescriptorSetSchema, { file: [file_google_protobuf_duration.proto, errorDetailsFile()] }),
);

/**
 * The three messages of googleapis' `google/rpc/error_details.proto` that are used here, field numbers and all. Written
 * down because a dependency on all of googleapis for three messages would be the larger thing to keep.
 */
function errorDetailsFile() {
  return create(FileDescriptorProtoSchema, {
    name: "google/rpc/error_details.proto",
    package: PACKAGE,
    syntax: "proto3",
    dependency: [file_google_protobuf_duration.proto.name],
    messageType: [
      {
        name: "BadRequest",
        field: [
          field("field_violations", 1, { repeated: true, message: ".google.rpc.BadRequest.FieldViolation" }),
        ],
        nestedType: [{ name: "FieldViolation", field: [field("field", 1), field("description", 2)] }],
      },
      { name: "ErrorInfo", field: [field("reason", 1), field("domain", 2)] },
      { name: "RetryInfo", field: [field("retry_delay", 1, { message: ".google.protobuf.Duration" })] },
    ],
  });
}

function field(
  name: string,
  number: number,
  { message, repeated = false }: { message?: string; repeated?: boolean } = {},
): FieldDescriptorProto {
  return create(FieldDescriptorProtoSchema, {
    name,
    // protoc fills it in; whoever writes JSON by default takes it as it is.
    jsonName: name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    number,
    label: repeated ? Label.REPEATED : Label.OPTIONAL,
    type: message === undefined ? Type.STRING : Type.MESSAGE,
    ...(message !== undefined && { typeName: message }),
  });
}

function detail(name: string, value: Record<string, unknown>): ErrorDetail {
  const desc = errorDetails.getMessage(`${PACKAGE}.${name}`);
  if (desc === undefined) throw new InvariantError(`${PACKAGE}.${name} is not described`);
  return { desc, value };
}
