import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** What it says, line by line; ends when it does. */
  readonly lines: AsyncIterator<string>;
  /** The next line; rejects when there is none any more. */
  nextLine(): Promise<string>;
  tell(line: string): void;
  kill(): Promise<void>;
}

/** Starts `child.ts`; it is killed when the test is over. */
export function startChild(...args: readonly string[]): Child {
  const child = spawn(process.execPath, [fileURLToPath(new URL("./child.ts", import.meta.url)), ...args], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  return {
    // A process that could not be spawned has none, and then no test can go on.
    pid: child.pid ?? 0,
    lines,
    async nextLine() {
      const { value, done } = await lines.next();
      if (done) throw new Error("the child has ended");
      return value;
    },
    tell: (line) => child.stdin.write(`${line}\n`),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}
