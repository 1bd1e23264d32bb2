import { spawn } from "node:child_process";
import type { Clock } from "#pkg/clock/index.ts";

/** What a container is told to run. */
export interface Program {
  readonly batchJobId: string;
  readonly entrypoint: string;
  readonly commands: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How the cloud runs containers. */
export interface Runner {
  /** Starts one; `onExit` is told its exit code. Returns what kills it, after which `onExit` may or may not be called. */
  start(program: Program, onExit: (code: number) => void): () => void;
}

/** Plays programs by what they say: `exit N` ends with N, `sleep S` after so many seconds, all else with 0 at once. */
export function createPlayRunner(clock: Clock): Runner {
  return {
    start({ entrypoint, commands }, onExit) {
      const words = [entrypoint, ...commands].join(" ");
      const seconds = Number(/\bsleep (\d+(?:\.\d+)?)/.exec(words)?.[1] ?? 0);
      const code = Number(/\bexit (\d+)/.exec(words)?.[1] ?? 0);
      const timer = clock.timer(seconds * 1000, () => onExit(code));
      return () => timer.cancel();
    },
  };
}

/** Runs the program itself, on this machine, with PATH and the job's own environment and nothing else. */
export function createSpawnRunner(cwd: string): Runner {
  return {
    start({ entrypoint, commands, env }, onExit) {
      const [program = "/bin/true", ...args] = [entrypoint, ...commands].filter(
        (word, index) => index > 0 || word !== "",
      );
      const child = spawn(program, args, {
        cwd,
        env: { PATH: process.env.PATH, ...env },
        stdio: "ignore",
        detached: true,
      });
      child.once("error", () => onExit(127));
      child.once("exit", (code) => onExit(code ?? 137));
      return () => {
        if (child.pid === undefined || child.exitCode !== null) return;
        try {
          process.kill(-child.pid, "SIGKILL");
        } catch (error) {
          // It has ended by itself.
          if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
        }
      };
    },
  };
}
