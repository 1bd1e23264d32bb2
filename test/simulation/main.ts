import { parseArgs } from "node:util";
import type { Bug } from "./bugs/bug.ts";
import { BUGS } from "./bugs/table.ts";
import { carryOut, Exit, type Work } from "./search/command.ts";

const USAGE = `Usage: npm run sim -- [--seeds N] [--from S] [--bug NAME] [--replay S] [--list-bugs]

  --seeds N     run so many seeds (1000)
  --from S      the first of them (1)
  --bug NAME    with this deliberate bug in the code; then a broken promise is what one hopes for
  --replay S    run one seed, shrink its schedule if it breaks a promise, and print what happened
  --list-bugs   print the names of the deliberate bugs

Exit code 0: every promise held. 1: one was broken, and its shrunk timeline is printed. 2: the command is not understood.
70: the simulation itself failed, as where a bug's text is not in the code any more; that says nothing about the promises.
`;

process.exitCode = await main();

async function main(): Promise<number> {
  const options = readOptions();
  if (options === undefined) {
    process.stderr.write(USAGE);
    return Exit.Usage;
  }
  if (options.listBugs) {
    for (const { name } of BUGS) process.stdout.write(`${name}\n`);
    return Exit.Held;
  }
  return carryOut(options, {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  });
}

interface Options extends Work {
  readonly listBugs: boolean;
}

/** Undefined, with the reason told, when they cannot be understood. */
function readOptions(): Options | undefined {
  try {
    const { values } = parseArgs({
      options: {
        seeds: { type: "string", default: "1000" },
        from: { type: "string", default: "1" },
        bug: { type: "string" },
        replay: { type: "string" },
        "list-bugs": { type: "boolean", default: false },
      },
    });
    return {
      seeds: wholeNumber("--seeds", values.seeds, 1),
      from: wholeNumber("--from", values.from, 0),
      bug: values.bug === undefined ? undefined : bugOf(values.bug),
      replay: values.replay === undefined ? undefined : wholeNumber("--replay", values.replay, 0),
      listBugs: values["list-bugs"],
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n`);
    return undefined;
  }
}

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < least)
    throw new Error(`${option}: must be a whole number of ${least} or more, not ${text}`);
  return value;
}

function bugOf(name: string): Bug {
  const bug = BUGS.find((each) => each.name === name);
  if (bug === undefined) throw new Error(`--bug: there is none called ${name}; --list-bugs names them all`);
  return bug;
}
