import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, decode, flag, integer, json, moment, type Typed, text } from "./values.ts";

const back = (typed: Typed) => decode(typed.value, typed.code);

describe("values", () => {
  it("every value reads back as it was written", () => {
    const pairs = fc.oneof(
      fc.string({ unit: "binary" }).map((value) => [value, text(value)] as const),
      fc.maxSafeInteger().map((value) => [value, integer(value)] as const),
      fc.boolean().map((value) => [value, flag(value)] as const),
      fc.uint8Array().map((value) => [value, bytes(value)] as const),
      fc.jsonValue().map((value) => [JSON.parse(JSON.stringify(value)), json(value)] as const),
    );
    fc.assert(
      fc.property(pairs, ([value, typed]) => {
        expect(back(typed)).toEqual(value);
      }),
    );
  });

  it("moments keep their millisecond, before 1970 as well", () => {
    const moments = fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 });
    fc.assert(
      fc.property(moments, (ms) => {
        expect(back(moment(ms))).toBe(ms);
      }),
    );
    expect(moment(1_700_000_000_001).value.stringValue).toMatch(/^2023-11-14T22:13:20\.001(000000)?Z$/);
  });

  it("a moment that no TIMESTAMP holds becomes the nearest one", () => {
    expect(back(moment(Number.MAX_SAFE_INTEGER))).toBe(253_402_300_799_999);
    expect(back(moment(Number.MIN_SAFE_INTEGER))).toBe(-62_135_596_800_000);
  });

  it("what is undefined is NULL, whatever its type", () => {
    for (const type of [text, integer, flag, bytes, json, moment]) {
      expect(back(type(undefined))).toBeNull();
    }
  });

  it("half a character, as a cut text has, is replaced and not refused", () => {
    expect(back(text("cut \ud83d"))).toBe("cut \ufffd");
    expect(back(json({ message: "cut \ud83d" }))).toEqual({ message: "cut \ufffd" });
  });
});
