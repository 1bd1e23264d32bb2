import { spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { beforeAll, describe, expect, it } from "vitest";

/**
 * The floors of the house are held by the linter (`biome.json`); these fixtures show that it does: each is linted as if
 * it stood where its path says, and must be refused or let through.
 */
const sources = new Map<string, string>();

/** Has `source` linted as a file of its own in the folder `at`; answers its path there. */
function fixture(at: string, source: string): string {
  const path = `${at}/fixture${sources.size}.ts`;
  sources.set(path, source);
  return path;
}

/** The rules that refused each of the fixtures, by path. */
const refusals = new Map<string, string[]>();

beforeAll(async () => {
  const folder = await mkdtemp(join(tmpdir(), "jennah-layers-"));
  await copyFile("biome.json", join(folder, "biome.json"));
  for (const [path, source] of sources) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), source);
  }
  const child = spawn(
    join(process.cwd(), "node_modules/.bin/biome"),
    ["lint", "--colors=off", "--vcs-enabled=false", "--max-diagnostics=none", "."],
    { cwd: folder, stdio: ["ignore", "pipe", "pipe"] },
  );
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  for (const [, path = "", rule = ""] of (out + err).matchAll(/^(\S+\.ts):\d+:\d+ (lint\/\S+)/gm)) {
    refusals.set(path, [...(refusals.get(path) ?? []), rule]);
  }
  await rm(folder, { recursive: true });
});

const importing = (specifier: string) => `import { x } from "${specifier}";\nx();\n`;

describe("a package imports from lower floors only", () => {
  const refused = [
    ["pkg/errors", "#pkg/log/index.ts"],
    ["pkg/config", "#pkg/errors/index.ts"],
    ["pkg/job", "#pkg/lifecycle/index.ts"],
    ["pkg/job", "#pkg/store/index.ts"],
    ["pkg/store", "#pkg/batch/index.ts"],
    ["pkg/store", "#pkg/store/sqlite/index.ts"],
    ["pkg/store/sqlite", "#pkg/store/postgres/index.ts"],
    ["pkg/store/sqlite", "#pkg/batch/index.ts"],
    ["pkg/store/sqlite", "#pkg/dispatch/index.ts"],
    ["pkg/batch/local", "#pkg/batch/gcp/index.ts"],
    ["pkg/dispatch", "#pkg/ownership/index.ts"],
    ["pkg/dispatch", "#pkg/rpc/index.ts"],
    ["pkg/dispatch", "#pkg/store/sqlite/index.ts"],
    ["pkg/dispatch", "#gen/jennah/v1/job_pb.js"],
    ["pkg/gateway", "#pkg/worker/index.ts"],
    ["pkg/worker", "#pkg/gateway/index.ts"],
    ["pkg/worker", "#pkg/store/sqlite/index.ts"],
    ["pkg/ring", "../clock/index.ts"],
    ["pkg/ring", "node:timers/promises"],
  ] as const;
  for (const [at, specifier] of refused) {
    const path = fixture(at, importing(specifier));
    it(`${at} may not import ${specifier}`, () => {
      expect(refusals.get(path)).toContain("lint/style/noRestrictedImports");
    });
  }

  const allowed = [
    ["pkg/log", "pino"],
    ["pkg/job", "#pkg/clock/index.ts"],
    ["pkg/store/sqlite", "#pkg/store/index.ts"],
    ["pkg/store/sqlite", "#pkg/job/index.ts"],
    ["pkg/dispatch", "#pkg/store/index.ts"],
    ["pkg/worker", "#pkg/rpc/index.ts"],
    ["cmd/worker", "#pkg/store/sqlite/index.ts"],
  ] as const;
  for (const [at, specifier] of allowed) {
    const path = fixture(at, importing(specifier));
    it(`${at} may import ${specifier}`, () => {
      expect(refusals.get(path)).toBeUndefined();
    });
  }
});

describe("time comes from a Clock", () => {
  for (const statement of [
    "setTimeout(f, 1);",
    "setInterval(f, 1);",
    "f(Date.now());",
    "f(performance.now());",
  ]) {
    const source = `const f = (_?: unknown) => undefined;\n${statement}\n`;
    const [inDispatch, inTest, inClock] = ["pkg/dispatch", "test/e2e", "pkg/clock"].map((at) =>
      fixture(at, source),
    );
    it(`${statement} is refused everywhere but in the clock`, () => {
      expect(refusals.get(inDispatch ?? "")).toEqual(["lint/style/noRestrictedGlobals"]);
      expect(refusals.get(inTest ?? "")).toEqual(["lint/style/noRestrictedGlobals"]);
      expect(refusals.get(inClock ?? "")).toBeUndefined();
    });
  }
});
