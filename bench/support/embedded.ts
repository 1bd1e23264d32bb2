import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePorts } from "#test/support/ports.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** An embedded cluster that `npm start` runs, on ports and in a folder of its own. */
export interface Embedded {
  readonly url: string;
  /** When `npm start` was run; `performance.now()`. */
  readonly startedMs: number;
  /** Its processes by name: jennah, worker-1, …, gateway. */
  pids(): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
}

/** Resolves when the cluster says that it is ready. */
export async function startEmbedded(): Promise<Embedded> {
  const folder = await mkdtemp(join(tmpdir(), "jennah-bench-"));
  const [gateway, workers] = await freePorts(4);
  const startedMs = performance.now();
  const child: ChildProcess = spawn("npm", ["start"], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      GATEWAY_PORT: String(gateway),
      WORKER_PORT: String(workers),
      DB_PATH: join(folder, "jennah.db"),
      LOCAL_WORKDIR: join(folder, "local"),
      LOG_FORMAT: "json",
      LOG_LEVEL: "warn",
      // Else npm may ask the registry for a newer npm.
      npm_config_update_notifier: "false",
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  let said = "";
  await new Promise<void>((resolve, reject) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes("Jennah is ready")) resolve();
    });
    child.once("exit", () => reject(new Error(`the cluster ended before it was ready:\n${said}`)));
  });
  return {
    url: `http://127.0.0.1:${gateway}`,
    startedMs,
    async pids() {
      // npm's one child, by its script's `exec`.
      const [jennah = 0] = await childrenOf(child.pid ?? 0);
      const found = new Map<string, number>([["jennah", jennah]]);
      for (const pid of await childrenOf(jennah)) {
        const environment = await readFile(`/proc/${pid}/environ`, "utf8");
        found.set(/\0WORKER_ID=([^\0]+)/.exec(`\0${environment}`)?.[1] ?? "gateway", pid);
      }
      return found;
    },
    async stop() {
      child.kill("SIGTERM");
      await once(child, "exit");
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const statuses = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/status`, "utf8").catch(() => "")),
  );
  return pids.filter((_, index) => statuses[index]?.includes(`\nPPid:\t${parent}\n`));
}

/** One call with JSON. */
export async function call<T>(url: string, rpc: string, tenant: string, body: object): Promise<T> {
  const response = await fetch(`${url}/jennah.v1.DeploymentService/${rpc}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-tenant-id": tenant },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${rpc} answered ${response.status}: ${text}`);
  return JSON.parse(text) as T;
}

/** CPU time that a process has used so far, user and system; milliseconds (Linux, 10 ms fine). */
export async function cpuMs(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  // Fields 14 and 15 of proc(5), counted behind the name, which may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Resident memory of a process; MiB. */
export async function residentMib(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1024;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
