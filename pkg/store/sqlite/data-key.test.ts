import { writeFileSync } from "node:fs";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { systemEntropy } from "#pkg/clock/index.ts";
import { StartupError } from "#pkg/errors/index.ts";
import { readOrMakeKey } from "./data-key.ts";

describe("the data key's file", () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "jennah-key-"));
    path = join(folder, "jennah.db.key");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("is made once by many who ask at once, for its owner's eyes alone, and nothing else is left", async () => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => readOrMakeKey(path, systemEntropy)));
    expect(new Set(keys.map((key) => Buffer.from(key).toString("hex"))).size).toBe(1);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(["jennah.db.key"]);
  });

  it("that another maker finished first is the one", async () => {
    const theirs = new Uint8Array(32).fill(7);
    const entropy = {
      ...systemEntropy,
      // The other maker finishes while this one is about to write its own key.
      bytes(length: number) {
        if (length === theirs.length) writeFileSync(path, theirs);
        return systemEntropy.bytes(length);
      },
    };
    expect(await readOrMakeKey(path, entropy)).toEqual(theirs);
    expect(await readOrMakeKey(path, systemEntropy)).toEqual(theirs);
  });

  it("that was cut short is refused, never replaced", async () => {
    await writeFile(path, "short");
    await expect(readOrMakeKey(path, systemEntropy)).rejects.toThrow(StartupError);
    await expect(readOrMakeKey(path, systemEntropy)).rejects.toThrow(/5 bytes instead of 32/);
  });
});
