import { BatchPhase, type CreateRequest, type Permit } from "#pkg/batch/index.ts";
import { providerIn } from "#pkg/batch/local/testing.ts";

/**
 * A process that creates batch jobs on the local provider and can be killed: `node launcher.ts <workdir> <stop at>`, with
 * one request as JSON a line on standard input. It prints one line of JSON per outcome.
 *
 * `stop at` is how often it asks for its trust before it freezes itself: 1 is before the attempt has its name, 2 between
 * the name and the launch, 0 is never.
 */
const [workdir = "", stopAt = "0"] = process.argv.slice(2);
const LANES = 8;

const provider = providerIn(workdir);
await provider.start();
process.stdout.write("started\n");

const requests: CreateRequest[] = [];
let text = "";
for await (const chunk of process.stdin) text += String(chunk);
for (const line of text.split("\n")) if (line !== "") requests.push(JSON.parse(line));

async function lane(): Promise<void> {
  for (let request = requests.shift(); request !== undefined; request = requests.shift()) {
    let asked = 0;
    const permit: Permit = {
      signal: new AbortController().signal,
      assertTrusted() {
        asked += 1;
        if (asked === Number(stopAt)) process.kill(process.pid, "SIGSTOP");
      },
    };
    const outcome = await provider.create(request, permit);
    const phase = outcome.kind === "accepted" ? outcome.state.phase : BatchPhase.Failed;
    process.stdout.write(
      `${JSON.stringify({ kind: outcome.kind, adopted: outcome.kind === "accepted" && outcome.adopted, phase })}\n`,
    );
  }
}
await Promise.all(Array.from({ length: LANES }, lane));
await provider.stop();
