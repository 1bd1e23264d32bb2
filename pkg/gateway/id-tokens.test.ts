import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createManualClock, type ManualClock } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { type MetadataDouble, Mood, startMetadataDouble } from "#test/clouds/metadata/metadata-double.ts";
import { createIdTokens, type IdTokens } from "./id-tokens.ts";
import { createMetadataServer } from "./metadata-server.ts";

const MINUTE = 60_000;
const A = "https://a.example";
const B = "https://b.example";

let clock: ManualClock;
let double: MetadataDouble;
let tokens: IdTokens;
let lines: string[];

beforeEach(async () => {
  clock = createManualClock();
  double = await startMetadataDouble({ clock });
  lines = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ level: LogLevel.Debug, format: LogFormat.Json, destination });
  tokens = createIdTokens({ clock, log, server: createMetadataServer(double.host, clock) });
});

afterEach(async () => {
  double.release();
  await tokens.destroy();
  double.destroy();
  // Whatever happened: none was ever written down.
  for (const token of double.tokens) expect(lines.join("")).not.toContain(token.split(".")[2]);
});

/** What is told of the failure, causes and all. */
async function failureOf(given: string | Promise<string>): Promise<string> {
  try {
    await given;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return `${error.message}: ${error.cause}`;
  }
  throw new Error("there was a token");
}

describe("ID tokens", () => {
  it("are asked for as the metadata server wants it, and are good for their audience alone", async () => {
    const token = await tokens.tokenFor(A);
    expect(double.asked).toEqual([A]);
    expect(double.refused).toEqual([]);
    expect(double.faultOf(token, A)).toBeUndefined();
    expect(double.faultOf(token, B)).toBe(`for ${A}`);
    expect(double.faultOf(await tokens.tokenFor(B), B)).toBeUndefined();
  });

  it("are given again at once, without asking, until minutes before their end", async () => {
    const first = await tokens.tokenFor(A);
    await clock.advance(55 * MINUTE);
    expect(tokens.tokenFor(A)).toBe(first);
    expect(double.asked).toHaveLength(1);
  });

  it("are replaced in the background, once, while the old one still serves", async () => {
    const first = await tokens.tokenFor(A);
    await clock.advance(56 * MINUTE);
    double.mood = Mood.Hangs;
    for (let i = 0; i < 100; i++) expect(tokens.tokenFor(A)).toBe(first);
    await double.untilAsked(2);
    expect(tokens.tokenFor(A)).toBe(first);
    double.release();
    await until(() => tokens.tokenFor(A) !== first);
    expect(double.asked).toHaveLength(2);
    expect(double.faultOf(await tokens.tokenFor(A), A)).toBeUndefined();
    expect(double.tokens).toHaveLength(2);
  });

  it("that have ended are never given", async () => {
    const first = await tokens.tokenFor(A);
    clock.jumpWall(59.6 * MINUTE);
    const second = tokens.tokenFor(A);
    expect(second).toBeInstanceOf(Promise);
    expect(await second).not.toBe(first);
  });

  it("are asked for once, however many wait", async () => {
    double.mood = Mood.Hangs;
    const waiting = Array.from({ length: 100 }, () => tokens.tokenFor(A));
    await double.untilAsked(1);
    double.release();
    expect(new Set(await Promise.all(waiting)).size).toBe(1);
    expect(double.asked).toHaveLength(1);
  });

  it.each([
    [Mood.Fails, /status 500/],
    [Mood.Unknown, /status 404/],
    [Mood.Resets, /other side closed|ECONNRESET/],
    [Mood.Page, /is no ID token/],
    [Mood.OtherAudience, /for another audience/],
    [Mood.Nameless, /is no metadata server/],
  ])("cannot be had from a server that is %s, and can be again after", async (mood, words) => {
    double.mood = mood;
    const failure = await failureOf(tokens.tokenFor(A));
    expect(failure).toMatch(words);
    expect(failure).toContain(`no ID token for ${A} from the metadata server at ${double.host}`);
    double.mood = Mood.Well;
    await clock.advance(1000);
    expect(double.faultOf(await tokens.tokenFor(A), A)).toBeUndefined();
    expect(lines.map((line) => JSON.parse(line).level)).toEqual(["warn", "info"]);
  });

  it("that do not come in time cannot be had", async () => {
    double.mood = Mood.Hangs;
    const failure = failureOf(tokens.tokenFor(A));
    await double.untilAsked(1);
    await clock.advance(3000);
    expect(await failure).toMatch(/no answer within 3000 ms/);
  });

  it("that cannot be had are not asked for by every call", async () => {
    double.mood = Mood.Fails;
    await failureOf(tokens.tokenFor(A));
    for (let i = 0; i < 100; i++) expect(await failureOf(tokens.tokenFor(A))).toMatch(/status 500/);
    expect(double.asked).toHaveLength(1);
    await clock.advance(1000);
    await failureOf(tokens.tokenFor(A));
    expect(double.asked).toHaveLength(2);
    expect(lines).toHaveLength(1);
  });

  it("serve to their end while no new ones can be had", async () => {
    const first = await tokens.tokenFor(A);
    double.mood = Mood.Fails;
    await clock.advance(57 * MINUTE);
    expect(tokens.tokenFor(A)).toBe(first);
    await until(() => lines.length === 1);
    await clock.advance(2 * MINUTE);
    expect(tokens.tokenFor(A)).toBe(first);
    await until(() => double.asked.length === 3);
    await clock.advance(MINUTE);
    expect(await failureOf(tokens.tokenFor(A))).toMatch(/status 500/);
  });

  it("that their audience refused are not given again", async () => {
    const first = await tokens.tokenFor(A);
    tokens.discard(A, "another");
    expect(tokens.tokenFor(A)).toBe(first);
    tokens.discard(A, first);
    expect(tokens.tokenFor(A)).toBeInstanceOf(Promise);
  });

  it("are used by a machine whose clock runs ahead, since their audience judges by its own", async () => {
    const ahead = createManualClock(clock.nowMs() + 120 * MINUTE);
    const log = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
    const server = createMetadataServer(double.host, ahead);
    const theirs = createIdTokens({ clock: ahead, log, server });
    const token = await theirs.tokenFor(A);
    expect(double.faultOf(token, A)).toBeUndefined();
    expect(theirs.tokenFor(A)).toBe(token);
    await theirs.destroy();
  });
});

/** Waits until `holds`, letting events in between; the test's own time limit bounds it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await clock.yield();
}
