import { describe, expect, it } from "vitest";
import { type FailedVisit, mayRepeat } from "./repeat.ts";

const base: FailedVisit = {
  wasRefused: false,
  isRepeatable: false,
  isBodyKept: true,
  hasReplyBegun: false,
  visits: 1,
};

describe("mayRepeat", () => {
  it.each<[string, Partial<FailedVisit>, boolean]>([
    ["refused", { wasRefused: true }, true],
    ["broken, repeatable", { isRepeatable: true }, true],
    ["broken, not repeatable", {}, false],
    ["refused, body gone", { wasRefused: true, isBodyKept: false }, false],
    ["repeatable, body gone", { isRepeatable: true, isBodyKept: false }, false],
    ["repeatable, reply begun", { isRepeatable: true, hasReplyBegun: true }, false],
    ["refused, reply begun", { wasRefused: true, hasReplyBegun: true }, false],
    ["refused at the second worker", { wasRefused: true, visits: 2 }, false],
    ["repeatable at the second worker", { isRepeatable: true, visits: 2 }, false],
  ])("%s", (_, facts, expected) => {
    expect(mayRepeat({ ...base, ...facts })).toBe(expected);
  });
});
