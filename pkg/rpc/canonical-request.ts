import { type DescMessage, type JsonValue, type MessageShape, toJson } from "@bufbuild/protobuf";

/**
 * The fields that a caller set, and of which message, in one text: the same for two requests exactly when they set the same
 * fields to the same values, in whatever encoding and order they came. Holds secrets; for hashing alone.
 */
export function canonicalRequest<T extends DescMessage>(schema: T, message: MessageShape<T>): string {
  return `${schema.typeName} ${JSON.stringify(sorted(toJson(schema, message)))}`;
}

function sorted(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, each]) => [key, sorted(each)] as const);
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}
