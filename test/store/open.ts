import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { createSqliteStore } from "#pkg/store/sqlite/index.ts";

/** A store in the file, not yet started. */
export function storeAt(path: string): JobStore {
  return createSqliteStore({
    path,
    clock: systemClock,
    entropy: systemEntropy,
    log: createLogger({ level: "silent", format: "json" }),
  });
}

/** A folder that is gone when the test is over: `await using folder = await createFolder()`. */
export async function createFolder(): Promise<
  AsyncDisposable & { readonly path: string; file(name: string): string }
> {
  const path = await mkdtemp(join(tmpdir(), "jennah-store-"));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** A started store in a folder of its own. */
export async function openStore(): Promise<
  AsyncDisposable & { readonly store: JobStore; readonly path: string }
> {
  const folder = await createFolder();
  const path = folder.file("jennah.db");
  const store = storeAt(path);
  await store.start();
  return {
    store,
    path,
    async [Symbol.asyncDispose]() {
      await store.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}
