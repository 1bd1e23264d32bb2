import { fromJson, toJson } from "@bufbuild/protobuf";
import { TimestampSchema, timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { protos } from "@google-cloud/spanner";

type ProtoValue = protos.google.protobuf.IValue;
type TypeCode = "STRING" | "INT64" | "BOOL" | "BYTES" | "TIMESTAMP" | "JSON";

/** A value as Spanner takes it, with its type: a column knows its own, a parameter must be told. */
export interface Typed {
  readonly code: TypeCode;
  readonly isArray: boolean;
  readonly value: ProtoValue;
}

/** A row's columns, or a statement's parameters, by name. */
export type Bindings = Readonly<Record<string, Typed>>;
/** A row as it was read: numbers, texts, booleans, bytes, moments in epoch milliseconds, JSON parsed, null. */
export type Row = Readonly<Record<string, unknown>>;

const NULL: ProtoValue = { nullValue: "NULL_VALUE" };

/** What TIMESTAMP holds: the years 1 to 9999. */
const FIRST_MOMENT_MS = -62_135_596_800_000;
const LAST_MOMENT_MS = 253_402_300_799_999;

function scalar<T>(code: TypeCode, encode: (value: T) => ProtoValue) {
  return (value: T | undefined): Typed => ({
    code,
    isArray: false,
    value: value === undefined ? NULL : encode(value),
  });
}

/** Half a surrogate pair, as a text cut in the middle has, is no UTF-8 and would be refused for good: it is replaced. */
export const text = scalar("STRING", (value: string) => ({ stringValue: value.toWellFormed() }));
export const integer = scalar("INT64", (value: number) => ({ stringValue: String(value) }));
export const flag = scalar("BOOL", (value: boolean) => ({ boolValue: value }));
export const bytes = scalar("BYTES", (value: Uint8Array) => ({
  stringValue: Buffer.from(value).toString("base64"),
}));
export const json = scalar("JSON", (value: unknown) => ({
  stringValue: JSON.stringify(value, (_, each: unknown) =>
    typeof each === "string" ? each.toWellFormed() : each,
  ),
}));
/** Epoch milliseconds; what no TIMESTAMP holds becomes the nearest that it does. */
export const moment = scalar("TIMESTAMP", (ms: number) => {
  const held = Math.min(Math.max(ms, FIRST_MOMENT_MS), LAST_MOMENT_MS);
  // The client's own dates lose a second before 1970, and take 0 for the present moment.
  return { stringValue: toJson(TimestampSchema, timestampFromMs(held)) };
});

function list<T>(code: TypeCode, element: (value: T) => Typed) {
  return (values: readonly T[]): Typed => ({
    code,
    isArray: true,
    value: { listValue: { values: values.map((value) => element(value).value) } },
  });
}

/** Lists are parameters only. */
export const texts = list("STRING", text);
export const integers = list("INT64", integer);

/** A value of a column of this type. */
export function decode(value: ProtoValue, code: unknown): unknown {
  if (value.boolValue !== undefined && value.boolValue !== null) return value.boolValue;
  const encoded = value.stringValue;
  if (encoded === undefined || encoded === null) return null;
  switch (code) {
    // Versions, terms, counters: all far below 2^53.
    case "INT64":
      return Number(encoded);
    case "TIMESTAMP":
      return timestampMs(fromJson(TimestampSchema, encoded));
    case "BYTES":
      return new Uint8Array(Buffer.from(encoded, "base64"));
    case "JSON":
      return JSON.parse(encoded);
    default:
      return encoded;
  }
}
