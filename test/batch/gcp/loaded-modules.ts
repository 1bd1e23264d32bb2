import { writeSync } from "node:fs";
import { registerHooks } from "node:module";
import { threadId } from "node:worker_threads";

/** Preloaded into a process under test: each of its threads says at its end which packages of a cloud's client it loaded. */
const seen = new Set<string>();

registerHooks({
  load(url, context, nextLoad) {
    const [, name] = /\/node_modules\/((?:@google-cloud|@grpc|google-[a-z]+)\/?[^/]*)\//.exec(url) ?? [];
    if (name !== undefined) seen.add(name);
    return nextLoad(url, context);
  },
});

process.on("exit", () => {
  writeSync(1, `loaded by ${threadId}: ${[...seen].sort().join(" ")}\n`);
});
