import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { needing } from "#test/support/commands.ts";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";
import { freePorts } from "#test/support/ports.ts";

/** `npm start`: the embedded cluster as its command runs it. */
const MAIN = fileURLToPath(new URL("../../cmd/jennah/main.ts", import.meta.url));

/** Which processes are its own is read from /proc. */
const isLinux = process.platform === "linux";

let folder: string;
let gatewayPort: number;
/** The first of three. */
let workerPort: number;
const started: NodeProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-start-"));
  [gatewayPort = 0, workerPort = 0] = await freePorts(4);
});
afterEach(async () => {
  if (!isLinux) return;
  await Promise.all(started.splice(0).map((each) => each.kill()));
  await eventually(children, (pids) => pids.length === 0, 20_000);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

function start(env: Record<string, string> = {}): NodeProcess {
  const ports = { GATEWAY_PORT: String(gatewayPort), WORKER_PORT: String(workerPort) };
  const process = startNode(MAIN, { ...ports, LOG_FORMAT: "json", ...env }, folder);
  started.push(process);
  return process;
}

async function startReady(): Promise<NodeProcess> {
  const cluster = start();
  await cluster.line((line) => line.includes("Jennah is ready"));
  return cluster;
}

/** Its processes that live, by pid: all that run in its folder. */
async function children(): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const [command, environment] = await Promise.all(
      ["cmdline", "environ"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")),
    );
    const isOurs = environment?.includes(`GATEWAY_PORT=${gatewayPort}\0`);
    if (isOurs && /cmd\/(gateway|worker)\/main\.ts/.test(command ?? "")) found.push(Number(pid));
  }
  return found;
}

async function call(rpc: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(`http://127.0.0.1:${gatewayPort}/jennah.v1.DeploymentService/${rpc}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-tenant-id": "t" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

describe.skipIf(!isLinux)(`npm start${isLinux ? "" : " (not run: no /proc here)"}`, () => {
  const printed = needing("curl", "brings up four processes, and its curl line works as it is printed");
  it.skipIf(printed.isMissing)(printed.title, async () => {
    const cluster = await startReady();
    expect(await children()).toHaveLength(4);
    const from = cluster.lines.findIndex((line) => line.includes("curl -X POST"));
    const command = cluster.lines.slice(from, from + 3).join("\n");
    const { execFile } = await import("node:child_process");
    const { promisify } = await import("node:util");
    const { stdout } = await promisify(execFile)("/bin/sh", ["-c", command]);
    expect(JSON.parse(stdout)).toMatchObject({ status: "RUNNING" });
  });

  it("a process that dies is started again and said so; the others serve on", async () => {
    const cluster = await startReady();
    const [pid = 0] = await children();
    process.kill(pid, "SIGKILL");
    await cluster.line((line) => /jennah: \S+ died \(SIGKILL\); it is started again in 1 s/.test(line));
    await eventually(children, (pids) => pids.length === 4 && !pids.includes(pid), 20_000);
    await eventually(
      () => call("SubmitJob", { image_uri: "a", entrypoint: "/bin/true" }).catch(() => ({ status: 0 })),
      ({ status }) => status === 200,
      20_000,
    );
  });

  it("a taken port names its setting, exits 1, and leaves nothing running", async () => {
    await startReady();
    const second = start({ WORKER_PORT: String(workerPort + 10) });
    expect((await second.ended).code).toBe(1);
    expect(second.lines.join("\n")).toContain("set GATEWAY_PORT to a free port");
    expect(await children()).toHaveLength(4);
  });

  it("settings that are wrong are all told, and it exits 78", async () => {
    const cluster = start({ GATEWAY_PORT: "http", WORKER_PORT: "99999" });
    expect((await cluster.ended).code).toBe(78);
    expect(cluster.lines.join("\n")).toMatch(/GATEWAY_PORT: .*\n.*WORKER_PORT: /);
  });

  it("when the parent is killed, its processes leave", async () => {
    const cluster = await startReady();
    cluster.signal("SIGKILL");
    await cluster.ended;
    await eventually(children, (pids) => pids.length === 0, 20_000);
  });

  it("on SIGTERM it stops everything in order and exits 0; jobs that run go on and are found again", async () => {
    const first = await startReady();
    const { body } = await call("SubmitJob", {
      image_uri: "a",
      entrypoint: "/bin/sh",
      commands: ["-c", `sleep 3; echo ran >> ${folder}/ran`],
    });
    first.signal("SIGTERM");
    expect((await first.ended).code).toBe(0);
    expect(await children()).toEqual([]);
    await startReady();
    await eventually(
      async () => (await call("GetJob", { job_id: body.job_id })).body.job as { status?: string } | undefined,
      (job) => job?.status === "COMPLETED",
      30_000,
    );
    expect(await readFile(join(folder, "ran"), "utf8")).toBe("ran\n");
  });
});
