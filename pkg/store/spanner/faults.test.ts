import { describe, expect, it } from "vitest";
import { ExitCode, StartupError, UnavailableError } from "#pkg/errors/index.ts";
import { faultOf, startupFaultOf } from "./faults.ts";

const NAME = { project: "p", instance: "i", database: "d" };

/** As the client makes it of a gRPC status. */
function failure(code: number | undefined, message: string): Error {
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}

describe("a start that fails says what is missing", () => {
  const cases: readonly [name: string, error: Error, words: RegExp][] = [
    [
      "the API",
      failure(
        7,
        "7 PERMISSION_DENIED: Cloud Spanner API has not been used in project p before or it is disabled. Enable it by visiting …",
      ),
      /API is not enabled: run `gcloud services enable spanner\.googleapis\.com --project=p`/,
    ],
    [
      "a permission, by its name",
      failure(
        7,
        "7 PERMISSION_DENIED: Caller is missing IAM permission spanner.sessions.create on resource projects/p/instances/i/databases/d.",
      ),
      /lack the permission spanner\.sessions\.create: roles\/spanner\.databaseUser/,
    ],
    [
      "a permission without a name",
      failure(7, "7 PERMISSION_DENIED: no"),
      /grant roles\/spanner\.databaseUser/,
    ],
    [
      "credentials",
      failure(undefined, "Could not load the default credentials. Browse to …"),
      /gcloud auth application-default login/,
    ],
    [
      "a file of credentials that can be read",
      failure(
        undefined,
        "Unable to read the credential file specified by the GOOGLE_APPLICATION_CREDENTIALS environment variable: The file at /adc.json does not exist, or it is not a file.",
      ),
      /application-default login.*\/adc\.json does not exist/,
    ],
    [
      "credentials that still hold",
      failure(2, "2 UNKNOWN: invalid_grant: reauth"),
      /application-default login/,
    ],
    ["credentials that are known", failure(16, "16 UNAUTHENTICATED: who?"), /application-default login/],
    ["the database", failure(5, "5 NOT_FOUND: Database not found: d"), /DB_DATABASE.*databases create d/],
    ["the instance", failure(5, "5 NOT_FOUND: Instance not found: i"), /DB_PROJECT_ID, DB_INSTANCE/],
    ["the schema", failure(5, "5 NOT_FOUND: Table not found: Meta"), /run `npm run migrate`/],
  ];
  for (const [name, error, words] of cases) {
    it(name, () => {
      for (const told of [error, faultOf(error)]) {
        const fault = startupFaultOf(NAME, told);
        expect(fault).toBeInstanceOf(StartupError);
        expect(fault).toMatchObject({ exitCode: ExitCode.Config, message: expect.stringMatching(words) });
        expect(String(fault)).toContain("p/i/d");
      }
    });
  }

  it("what may pass by itself is not called a fault of the settings", () => {
    expect(startupFaultOf(NAME, failure(14, "14 UNAVAILABLE: no route"))).toBeInstanceOf(UnavailableError);
  });
});

describe("a call that fails", () => {
  it("is unavailable where the database as a whole cannot go on", () => {
    for (const code of [1, 2, 4, 5, 7, 8, 10, 13, 14, 16]) {
      expect(faultOf(failure(code, "x"))).toBeInstanceOf(UnavailableError);
    }
  });

  it("is told in words that name nothing of the deployment; the client's own are its cause", () => {
    const error = failure(14, "14 UNAVAILABLE: connect ECONNREFUSED 10.0.0.7:443 projects/p");
    const fault = faultOf(error);
    expect(fault).toMatchObject({
      message: "the store does not answer: Spanner cannot be reached",
      cause: error,
    });
  });

  it("passes as it is where the call itself is at fault", () => {
    for (const code of [3, 6, 9, 11]) {
      const error = failure(code, "x");
      expect(faultOf(error)).toBe(error);
    }
  });
});
