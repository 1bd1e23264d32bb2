import { systemClock } from "#pkg/clock/index.ts";
import { createService, runProcess } from "#pkg/lifecycle/index.ts";

/** A process that tells its pid and leaves when it is told to; with `CHILD_STARTS=never` it never comes up. */
const log = { info: () => undefined, error: () => undefined };
const service = createService({
  name: "child",
  async start(signal) {
    process.stdout.write(`child ${process.pid}\n`);
    if (process.env.CHILD_STARTS === "never") await systemClock.sleep(3_600_000, signal);
  },
});
process.exitCode = await runProcess({ service, clock: systemClock, drainMs: 1_000, log });
