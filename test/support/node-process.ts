import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { systemClock } from "#pkg/clock/index.ts";

/** A Node process under test, which is told by signals and tells by lines. */
export interface NodeProcess {
  readonly pid: number;
  /** Everything it printed, on both streams, line by line. */
  readonly lines: readonly string[];
  /** Resolves with the first line, printed or to come, that `matches` takes; rejects when the process ends without. */
  line(matches: (line: string) => boolean): Promise<string>;
  signal(signal: NodeJS.Signals): void;
  /** Stops it by SIGSTOP, and resolves when each of its threads stands still (Linux; elsewhere when the signal was sent). */
  freeze(): Promise<void>;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** Kills it, frozen or not, and waits for its end. */
  kill(): Promise<void>;
}

/** Starts `module` under this Node with exactly the given environment besides PATH and HOME. */
export function startNode(
  module: string,
  env: Readonly<Record<string, string>>,
  cwd = process.cwd(),
): NodeProcess {
  const child: ChildProcess = spawn(process.execPath, [module], {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const lines: string[] = [];
  const waiting = new Set<(line: string) => void>();
  const ended: NodeProcess["ended"] = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) throw new Error("the child's output is piped, so it is there");
    createInterface({ input: stream }).on("line", (line) => {
      lines.push(line);
      for (const tell of [...waiting]) tell(line);
    });
  }
  if (child.pid === undefined) throw new Error(`${module} could not be started`);

  return {
    pid: child.pid,
    lines,
    ended,
    line(matches) {
      const seen = lines.find(matches);
      if (seen !== undefined) return Promise.resolve(seen);
      return new Promise((resolve, reject) => {
        const tell = (line: string) => {
          if (!matches(line)) return;
          waiting.delete(tell);
          resolve(line);
        };
        waiting.add(tell);
        ended.then(({ code, signal }) =>
          reject(
            new Error(
              `${module} ended (${signal ?? code}) before the line came:\n${lines.slice(-20).join("\n")}`,
            ),
          ),
        );
      });
    },
    signal: (signal) => void child.kill(signal),
    async freeze() {
      child.kill("SIGSTOP");
      await eventually(
        () => statesOfThreads(child.pid ?? 0),
        (states) => states.every((state) => state === "T"),
      );
    },
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** The state letters of proc(5), one for each thread; none where there is no /proc. */
async function statesOfThreads(pid: number): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const stats = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => "")),
  );
  // Behind the name, which may hold anything.
  return stats.filter((stat) => stat !== "").map((stat) => stat.slice(stat.lastIndexOf(")") + 2).charAt(0));
}

/** How long a test waits for what is to happen and has no bound of its own: it ends what hangs, on a busy machine too. */
export const PATIENCE_MS = 60_000;

/**
 * Resolves with the first answer of `ask` that `holds`, asking again at short intervals; rejects with the last answer when
 * `withinMs` is over. For what another process does and does not tell.
 */
export async function eventually<T>(
  ask: () => Promise<T> | T,
  holds: (answer: T) => boolean,
  withinMs = PATIENCE_MS,
): Promise<T> {
  const endMs = systemClock.monotonicMs() + withinMs;
  for (;;) {
    const answer = await ask();
    if (holds(answer)) return answer;
    if (systemClock.monotonicMs() > endMs) {
      throw new Error(
        `did not come to hold within ${withinMs} ms; last: ${JSON.stringify(answer)?.slice(0, 2_000)}`,
      );
    }
    await systemClock.sleep(20);
  }
}
