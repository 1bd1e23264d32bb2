import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";
import { freePorts } from "#test/support/ports.ts";
import { answerOf, SERVICE, TENANT } from "./harness.ts";

const WORKER = fileURLToPath(new URL("../../cmd/worker/main.ts", import.meta.url));
const LOCAL = { BATCH_PROVIDER: "local", DB_PROVIDER: "sqlite", WORKER_PORT: "0", WORKER_ID: "worker-1" };
const MARKER = "marker-51d2e7-should-never-show";

let folder: string;
const started: NodeProcess[] = [];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jennah-process-"));
});
afterEach(async () => {
  for (const child of started.splice(0)) await child.kill();
  await rm(folder, { recursive: true });
});

function start(env: Record<string, string>): NodeProcess {
  const child = startNode(WORKER, env, folder);
  started.push(child);
  return child;
}

async function urlOf(child: NodeProcess): Promise<string> {
  const line = await child.line((each) => each.includes("Worker listening on"));
  return `http://${/Worker listening on ([^"]+)/.exec(line)?.[1]}`;
}

async function post(url: string, method: string, body: object) {
  const headers = { "Content-Type": "application/json", ...TENANT };
  return answerOf(
    await fetch(`${url}${SERVICE}/${method}`, { method: "POST", headers, body: JSON.stringify(body) }),
  );
}

describe("a worker process", () => {
  it("with wrong settings tells all of them, exits 78, and has touched nothing", async () => {
    const child = start({
      BATCH_PROVIDER: "local",
      DB_PROVIDER: "mysql",
      WORKER_PORT: "x",
      LOG_LEVEL: "loud",
    });
    expect((await child.ended).code).toBe(78);
    for (const name of ["DB_PROVIDER", "WORKER_PORT", "LOG_LEVEL"]) {
      expect(child.lines.some((line) => line.includes(`"${name}: `))).toBe(true);
    }
    expect(await readdir(folder)).toEqual([]);
  });

  it.each([
    [
      { DB_PROVIDER: "postgres", DATABASE_URL: "postgres://user:hunter2@h/d" },
      "DB_PROVIDER: the adapter for postgres",
    ],
    [
      { BATCH_PROVIDER: "aws", BATCH_REGION: "r", AWS_ACCOUNT_ID: "123456789012", AWS_JOB_QUEUE: "q" },
      "BATCH_PROVIDER: the adapter for aws",
    ],
  ])("with %j says that the adapter comes later, and exits 78", async (env, words) => {
    const child = start({ ...LOCAL, ...env });
    expect((await child.ended).code).toBe(78);
    expect(child.lines.join()).toContain(words);
    expect(child.lines.join()).not.toContain("hunter2");
    expect(await readdir(folder)).toEqual([]);
  });

  it("tells of both adapters that come later at once, and of what is wrong besides", async () => {
    const aws = {
      BATCH_PROVIDER: "aws",
      BATCH_REGION: "r",
      AWS_ACCOUNT_ID: "123456789012",
      AWS_JOB_QUEUE: "q",
    };
    const postgres = { DB_PROVIDER: "postgres", DATABASE_URL: "postgres://h/d" };
    const child = start({ ...LOCAL, ...aws, ...postgres, SETTLE_SECONDS: "1" });
    expect((await child.ended).code).toBe(78);
    for (const words of ["the adapter for aws", "the adapter for postgres", "SETTLE_SECONDS: "]) {
      expect(child.lines.filter((line) => line.includes(words))).toHaveLength(1);
    }
  });

  it("with SETTLE_SECONDS below what a create may take has touched nothing", async () => {
    const child = start({ ...LOCAL, SETTLE_SECONDS: "1" });
    expect((await child.ended).code).toBe(78);
    expect(child.lines).toEqual([expect.stringContaining("SETTLE_SECONDS: must be at least 35 ")]);
    expect(await readdir(folder)).toEqual([]);
  });

  it("whose LOCAL_WORKDIR cannot be used says so in one line, and exits 78", async () => {
    await writeFile(join(folder, "file"), "");
    const child = start({ ...LOCAL, LOCAL_WORKDIR: "file" });
    expect((await child.ended).code).toBe(78);
    expect(child.lines).toEqual([expect.stringContaining('"LOCAL_WORKDIR: file cannot be used: EEXIST')]);
  });

  const isRoot = process.getuid?.() === 0;
  it.skipIf(isRoot)(
    `whose LOCAL_WORKDIR may not be written says so in one line${isRoot ? " (not run: root may write everywhere)" : ""}`,
    async () => {
      await mkdir(join(folder, "workdir"), { mode: 0o500 });
      const child = start({ ...LOCAL, LOCAL_WORKDIR: "workdir" });
      expect((await child.ended).code).toBe(78);
      expect(child.lines).toEqual([
        expect.stringContaining('"LOCAL_WORKDIR: workdir cannot be used: EACCES'),
      ]);
    },
  );

  const hasProc = existsSync("/proc/self");
  it.skipIf(!hasProc)(
    `whose DB_PATH lies where no folder can be made says so, and exits 78${hasProc ? "" : " (not run: no /proc here)"}`,
    async () => {
      const child = start({ ...LOCAL, DB_PATH: "/proc/jennah/jennah.db" });
      expect((await child.ended).code).toBe(78);
      expect(child.lines.join()).toContain(
        "cannot open the database /proc/jennah/jennah.db (DB_PATH): ENOENT",
      );
    },
  );

  it.each(["worker", "gateway", "migrate", "jennah"])(
    "%s says in one line that .env cannot be read, and exits 78",
    async (command) => {
      await mkdir(join(folder, ".env"));
      const child = startNode(
        fileURLToPath(new URL(`../../cmd/${command}/main.ts`, import.meta.url)),
        LOCAL,
        folder,
      );
      started.push(child);
      expect((await child.ended).code).toBe(78);
      expect(child.lines).toEqual([expect.stringContaining(".env: must be a file that can be read; EISDIR")]);
    },
  );

  it("reads .env, runs a job to its end, shows its secrets nowhere, and leaves in order on SIGTERM", async () => {
    const settings = Object.entries(LOCAL).map(([name, value]) => `${name}=${value}`);
    await writeFile(join(folder, ".env"), settings.join("\n"));
    const child = start({});
    const url = await urlOf(child);
    const job = {
      image_uri: "alpine",
      entrypoint: "/bin/sh",
      commands: ["-c", `test "$TOKEN" = ${MARKER.slice(0, 6)}$REST`],
    };
    const env_vars = { TOKEN: MARKER, REST: MARKER.slice(6) };
    const { job_id } = (await post(url, "SubmitJob", { ...job, env_vars })).body;
    const last = await eventually(
      async () => (await post(url, "GetJob", { job_id })).body.job,
      ({ status }) => status !== "PENDING" && status !== "RUNNING",
    );
    // It did get its values.
    expect(last).toMatchObject({ status: "COMPLETED", env_names: ["REST", "TOKEN"] });
    child.signal("SIGTERM");
    expect((await child.ended).code).toBe(0);
    expect(child.lines.filter((line) => line.includes(MARKER))).toEqual([]);
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      expect((await readFile(join(entry.parentPath, entry.name))).includes(MARKER)).toBe(false);
    }
  });

  it("on a taken port names the setting, exits 1, and takes nobody's worker id", async () => {
    const [port = 0] = await freePorts(1);
    const first = start({ ...LOCAL, WORKER_PORT: String(port) });
    const url = await urlOf(first);
    const second = start({ ...LOCAL, WORKER_PORT: String(port) });
    expect((await second.ended).code).toBe(1);
    expect(second.lines.join()).toContain("WORKER_PORT");
    expect((await fetch(`${url}/ready`)).status).toBe(200);
  });

  it("whose database cannot be had says so in the words that operators know, and does not exit 0", async () => {
    const child = start({ ...LOCAL, DB_PATH: "/dev/null/jennah.db" });
    expect((await child.ended).code).not.toBe(0);
    const words = child.lines.filter((line) => line.includes("Failed to create database client"));
    expect(words).toEqual([expect.stringContaining("/dev/null/jennah.db (DB_PATH)")]);
    expect(child.lines.filter((line) => line.includes('"stack"'))).toHaveLength(1);
  });
});
