import { fileURLToPath } from "node:url";
import { systemClock as clock } from "#pkg/clock/index.ts";
import {
  createChildProcess,
  createGroup,
  createParallelGroup,
  createService,
  runProcess,
} from "#pkg/lifecycle/index.ts";

/** A process that runs another, as the embedded cluster does, and tells what happens. `DRAIN_MS` bounds its drain. */
const say = (text: string) => void process.stdout.write(`${text}\n`);
const child = createChildProcess({
  name: "child",
  clock,
  module: fileURLToPath(new URL("./child.ts", import.meta.url)),
  env: process.env,
  onDeath: say,
  restartMs: 1_000,
});
const last = createService({ name: "last", start: async () => say("up") });
process.exitCode = await runProcess({
  service: createGroup("parent", [createParallelGroup("children", [child]), last]),
  clock,
  drainMs: Number(process.env.DRAIN_MS),
  log: { info: (_, message) => say(message), error: (_, message) => say(message) },
});
