import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { needing } from "#test/support/commands.ts";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";
import { freePorts } from "#test/support/ports.ts";

const WORKER = fileURLToPath(new URL("../../cmd/worker/main.ts", import.meta.url));
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
  await eventually(children, (pids) => pids.length === 0);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});

function ports(): Record<string, string> {
  return { GATEWAY_PORT: String(gatewayPort), WORKER_PORT: String(workerPort) };
}

function start(env: Record<string, string> = {}): NodeProcess {
  const process = startNode(MAIN, { ...ports(), LOG_FORMAT: "json", ...env }, folder);
  started.push(process);
  return process;
}

async function startReady(env: Record<string, string> = {}): Promise<NodeProcess> {
  const cluster = start(env);
  await cluster.line((line) => line.includes("Jennah is ready"));
  return cluster;
}

/** Kills those of a process group that are left, if any. */
function endGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, "SIGKILL");
  } catch {
    // None is left, as it should be.
  }
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
    await eventually(children, (pids) => pids.length === 4 && !pids.includes(pid));
    await eventually(
      () => call("SubmitJob", { image_uri: "a", entrypoint: "/bin/true" }).catch(() => ({ status: 0 })),
      ({ status }) => status === 200,
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

  it("a fault of its processes' settings is told once, with all others, before anything was touched", async () => {
    const cluster = start({ GATEWAY_PORT: String(workerPort + 1), LOG_LEVEL: "foo", SETTLE_SECONDS: "1" });
    expect((await cluster.ended).code).toBe(78);
    expect(cluster.lines).toEqual([
      `jennah: GATEWAY_PORT: must not be ${workerPort + 1}, one of the 3 workers' ports from WORKER_PORT=${workerPort} on; change one of the two`,
      expect.stringContaining('LOG_LEVEL: must be one of debug, info, warn, error, silent, not "foo"'),
      expect.stringContaining("SETTLE_SECONDS: must be at least 35 "),
    ]);
    expect(await readdir(folder)).toEqual([]);
  });

  it.each(["DB_PATH", "LOCAL_WORKDIR"])(
    "a %s that cannot be used is told once, and it exits 78",
    async (name) => {
      await writeFile(join(folder, "file"), "");
      const cluster = start({ [name]: "file/x" });
      expect((await cluster.ended).code).toBe(78);
      const [, ...rest] = cluster.lines;
      expect(rest).toEqual([expect.stringMatching(`^jennah: ${name}: file/x cannot be used: `)]);
    },
  );

  it("a second cluster on one database exits 78, and the first goes on untouched", async () => {
    const first = await startReady();
    const pids = await children();
    const [port = 0, second = 0] = await freePorts(4);
    const intruder = start({ GATEWAY_PORT: String(port), WORKER_PORT: String(second) });
    expect((await intruder.ended).code).toBe(78);
    expect(intruder.lines.at(-1)).toMatch(
      /^jennah: another cluster runs on \.jennah\/jennah\.db; stop it, or set DB_PATH/,
    );
    expect(await children()).toEqual(pids);
    expect((await call("SubmitJob", { image_uri: "a", entrypoint: "/bin/true" })).status).toBe(200);
    // The kernel has let go of it, however the first ended.
    first.signal("SIGKILL");
    await eventually(children, (left) => left.length === 0);
    await startReady();
  });

  it("a worker whose id is in use elsewhere is not started again: it says why, and the cluster exits 78", async () => {
    // It finds out when it renews its term, every third of the TTL.
    const cluster = await startReady({ WORKER_LEASE_TTL_SECONDS: "3", WORKER_CLAIM_INTERVAL_SECONDS: "1" });
    const [port = 0] = await freePorts(1);
    const env = { BATCH_PROVIDER: "local", DB_PROVIDER: "sqlite", WORKER_ID: "worker-2" };
    const other = startNode(WORKER, { ...env, WORKER_PORT: String(port) }, folder);
    started.push(other);
    expect((await cluster.ended).code).toBe(78);
    expect(
      cluster.lines.filter((line) => line.includes('"msg":"WORKER_ID worker-2 is in use by')),
    ).toHaveLength(1);
    expect(cluster.lines.filter((line) => line.startsWith("jennah: worker-2 ended for good"))).toHaveLength(
      1,
    );
    expect(cluster.lines.filter((line) => line.includes("is started again"))).toEqual([]);
    expect(await children()).toEqual([]);
  });

  const told = needing("npm", "npm passes SIGTERM on, and ends when all of the cluster has ended in order");
  it.skipIf(told.isMissing)(told.title, async () => {
    const { PATH, HOME } = process.env;
    const files = { DB_PATH: join(folder, "jennah.db"), LOCAL_WORKDIR: join(folder, "local") };
    const npm = spawn("npm", ["start"], {
      env: { PATH, HOME, npm_config_update_notifier: "false", ...ports(), ...files },
      stdio: "ignore",
      // A group of its own, so that the cluster can be ended with it if it does not end by itself.
      detached: true,
    });
    const ended = once(npm, "exit");
    try {
      const isReady = () =>
        fetch(`http://127.0.0.1:${gatewayPort}/ready`).then(
          (answer) => answer.ok,
          () => false,
        );
      await eventually(isReady, (ready) => ready);
      npm.kill("SIGTERM");
      expect(await ended).toEqual([0, null]);
      expect(await children()).toEqual([]);
    } finally {
      endGroup(npm.pid);
      await ended;
    }
  });

  it("a Ctrl-C, which the terminal sends it and npm once more, cuts nothing off", async () => {
    const cluster = await startReady({ npm_lifecycle_event: "start" });
    // Frozen, so that the drain is not over before the echo.
    const pids = await children();
    for (const pid of pids) process.kill(pid, "SIGSTOP");
    // Both wait for it together however long it gets no CPU; two of one kind would come as one.
    cluster.signal("SIGINT");
    cluster.signal("SIGTERM");
    await cluster.line((line) => line === "jennah: draining");
    for (const pid of pids) process.kill(pid, "SIGCONT");
    expect((await cluster.ended).code).toBe(0);
    expect(cluster.lines.join()).not.toContain("work in flight");
  });

  it("when the parent is killed, its processes leave", async () => {
    const cluster = await startReady();
    cluster.signal("SIGKILL");
    await cluster.ended;
    await eventually(children, (pids) => pids.length === 0);
  });

  it("on a second Ctrl-C it waits for nothing more: a process that stands still is killed with the others", async () => {
    const cluster = await startReady();
    const [frozen = 0] = await children();
    process.kill(frozen, "SIGSTOP");
    try {
      cluster.signal("SIGINT");
      await cluster.line((line) => line === "jennah: draining");
      cluster.signal("SIGINT");
      await eventually(children, (pids) => pids.length === 0);
    } finally {
      // It would outlive its parent.
      if ((await children()).includes(frozen)) process.kill(frozen, "SIGKILL");
    }
    expect((await cluster.ended).code).toBe(0);
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
    );
    expect(await readFile(join(folder, "ran"), "utf8")).toBe("ran\n");
  });
});
