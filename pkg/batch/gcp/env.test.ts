import { expect, test } from "vitest";
import { environmentOf } from "./env.ts";

test.each([
  ["secret://projects/p/secrets/s/versions/1", "projects/p/secrets/s/versions/1"],
  [
    "secret://projects/123456/secrets/DB_pass-word/versions/latest",
    "projects/123456/secrets/DB_pass-word/versions/latest",
  ],
  [
    "secret://projects/example.com:p/secrets/s/versions/blue",
    "projects/example.com:p/secrets/s/versions/blue",
  ],
])("%s is a reference", (value, name) => {
  expect(environmentOf({ A: value })).toEqual({ variables: {}, secretVariables: { A: name }, malformed: [] });
});

test.each([
  "secret://",
  "secret://projects/p/secrets/s",
  "secret://projects/p/secrets/s/versions/0",
  "secret://projects/p/secrets/s/versions/1/x",
  "secret://projects/p/secrets/a b/versions/1",
  "secret://arn:aws:secretsmanager:x",
])("%s begins like one and is none: neither a value nor a reference", (value) => {
  expect(environmentOf({ A: value })).toEqual({ variables: {}, secretVariables: {}, malformed: ["A"] });
});

test("everything else is a value, as it is", () => {
  const variables = { EMPTY: "", UPPER: "SECRET://x", INSIDE: "see secret://projects/p" };
  expect(environmentOf(variables)).toEqual({ variables, secretVariables: {}, malformed: [] });
});
