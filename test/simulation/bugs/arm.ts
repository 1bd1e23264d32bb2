import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";
import type { Bug } from "./bug.ts";

const ROOT = new URL("../../../", import.meta.url);

/**
 * Has every module that is loaded from now on be loaded with the bug in it.
 * @throws Error when a text that is to be replaced does not stand in its file exactly once: the code has moved on.
 */
export function armBug({ name, patches }: Bug): void {
  const byUrl = Map.groupBy(patches, ({ file }) => new URL(file, ROOT).href);
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      const changes = byUrl.get(url);
      if (changes === undefined || loaded.source === undefined || loaded.source === null) return loaded;
      let source =
        typeof loaded.source === "string" ? loaded.source : new TextDecoder().decode(loaded.source);
      for (const { file, find, replace } of changes)
        source = replaceOnce(source, find, replace, `${name}: ${file}`);
      return { ...loaded, source };
    },
  });
}

/** @throws Error when a text that the bug replaces does not stand in its file exactly once. */
export function checkBug({ name, patches }: Bug): void {
  for (const [file, changes] of Map.groupBy(patches, (patch) => patch.file)) {
    let text = readFileSync(fileURLToPath(new URL(file, ROOT)), "utf8");
    for (const { find, replace } of changes) text = replaceOnce(text, find, replace, `${name}: ${file}`);
  }
}

/** @throws Error unless `find` stands in `text` exactly once. */
function replaceOnce(text: string, find: string, replace: string, where: string): string {
  const parts = text.split(find);
  if (parts.length !== 2)
    throw new Error(`${where}: what the bug replaces stands there ${parts.length - 1} times: ${find}`);
  return parts.join(replace);
}
