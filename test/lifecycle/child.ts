import { createServer } from "node:net";
import { systemClock } from "#pkg/clock/index.ts";
import { createService, runProcess } from "#pkg/lifecycle/index.ts";

/** A process that tells its pid and leaves when it is told to; with `CHILD_STARTS=never` it never comes up. */
const log = { info: () => undefined, error: () => undefined };
// As a server's process does, it lives by the socket that it listens on: signals alone keep none alive.
const socket = createServer();
const service = createService({
  name: "child",
  async start(signal) {
    socket.listen(0, "127.0.0.1");
    process.stdout.write(`child ${process.pid}\n`);
    if (process.env.CHILD_STARTS === "never") await systemClock.sleep(3_600_000, signal);
  },
  stop: async () => void socket.close(),
});
process.exitCode = await runProcess({ service, clock: systemClock, drainMs: 1_000, log });
