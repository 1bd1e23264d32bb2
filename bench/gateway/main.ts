import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Pool } from "undici";
import { freePorts } from "#test/support/ports.ts";
import { cpuUsed, residentMib } from "./cpu.ts";

/**
 * CPU per forwarded call: the gateway beside nginx with `hash $http_x_tenant_id consistent`, on the same three workers,
 * round by round in one run. `npm run bench -- gateway`.
 */
const CALLS = 40_000;
const ROUNDS = 3;
const CONNECTIONS = 64;
const WORKERS = 3;
const BODY = Buffer.from(
  '{"image_uri":"gcr.io/p/app:latest","entrypoint":"/bin/sh","commands":["-c","echo hello"]}',
);

interface Contender {
  readonly name: string;
  readonly pid: number;
  readonly url: string;
}

const children: ChildProcess[] = [];
const folder = mkdtempSync(join(tmpdir(), "jennah-bench-"));

function startNode(script: string, env: Record<string, string>): ChildProcess {
  const path = new URL(script, import.meta.url).pathname;
  const child = spawn(process.execPath, [path], { env, cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  return child;
}

/** The first line that `read` makes something of. */
async function firstLine<T>(child: ChildProcess, read: (line: string) => T | undefined): Promise<T> {
  if (child.stdout === null) throw new Error("no output to read");
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) {
    const found = read(line);
    if (found === undefined) continue;
    child.stdout.resume();
    return found;
  }
  throw new Error("the process ended before it was ready");
}

async function startGateway(ports: readonly number[]): Promise<Contender> {
  const urls = ports.map((port, i) => `worker-${i + 1}=http://127.0.0.1:${port}`).join(",");
  const env = { WORKER_URLS: urls, GATEWAY_HOST: "127.0.0.1", GATEWAY_PORT: "0", LOG_FORMAT: "json" };
  const child = startNode("../../cmd/gateway/main.ts", env);
  const url = await firstLine(child, (line) => /Gateway listening on ([\d.:]+)/.exec(line)?.[1]);
  return { name: "gateway", pid: child.pid ?? 0, url: `http://${url}` };
}

async function startNginx(ports: readonly number[]): Promise<Contender | undefined> {
  if (spawnSync("nginx", ["-v"]).error !== undefined) return undefined;
  const [port = 0] = await freePorts(1);
  const config = join(folder, "nginx.conf");
  const servers = ports.map((each) => `server 127.0.0.1:${each};`).join(" ");
  writeFileSync(
    config,
    `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 10000000;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  upstream workers { hash $http_x_tenant_id consistent; ${servers} keepalive 128; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://workers; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Forwarded-Host $host; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`,
  );
  const child = spawn("nginx", ["-p", folder, "-c", config], { stdio: ["ignore", "ignore", "inherit"] });
  children.push(child);
  const url = `http://127.0.0.1:${port}`;
  for (let attempt = 0; attempt < 1000; attempt++) {
    const answered = await fetch(url).then(
      () => true,
      () => false,
    );
    if (answered) return { name: "nginx", pid: child.pid ?? 0, url };
  }
  throw new Error("nginx did not begin to listen");
}

/** Drives `calls` calls and returns how long they took, in milliseconds. */
async function drive(url: string, calls: number): Promise<number> {
  const pool = new Pool(url, { connections: CONNECTIONS, keepAliveTimeout: 60_000 });
  let left = calls;
  const began = performance.now();
  async function caller(id: number): Promise<void> {
    const headers = { "content-type": "application/json", "x-tenant-id": `tenant-${id}` };
    while (left-- > 0) {
      const path = "/jennah.v1.DeploymentService/SubmitJob";
      const { statusCode, body } = await pool.request({ method: "POST", path, headers, body: BODY });
      await body.dump();
      if (statusCode !== 200) throw new Error(`answered ${statusCode}`);
    }
  }
  await Promise.all(Array.from({ length: CONNECTIONS }, (_, id) => caller(id)));
  const took = performance.now() - began;
  await pool.close();
  return took;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function measure(): Promise<void> {
  const ports: number[] = [];
  for (let i = 0; i < WORKERS; i++)
    ports.push(await firstLine(startNode("upstream.ts", {}), (line) => Number(line)));
  const contenders = [await startGateway(ports), await startNginx(ports)].filter(
    (each) => each !== undefined,
  );
  if (contenders.length < 2) say("nginx: not run: no nginx found");
  for (const { url } of contenders) await drive(url, CALLS / 4);
  for (let round = 1; round <= ROUNDS; round++) {
    for (const { name, pid, url } of contenders) {
      const before = cpuUsed(pid);
      const tookMs = await drive(url, CALLS);
      const perCall = (cpuUsed(pid) - before) / CALLS;
      const rate = Math.round((CALLS / tookMs) * 1000);
      say(
        `round ${round}  ${name}: ${perCall.toFixed(1)} µs CPU a call, ${rate} calls/s, ${Math.round(residentMib(pid))} MiB`,
      );
    }
  }
}

async function run(): Promise<void> {
  try {
    await measure();
  } finally {
    for (const child of children) child.kill("SIGTERM");
    await Promise.all(children.map((child) => (child.exitCode === null ? once(child, "exit") : undefined)));
    rmSync(folder, { recursive: true, force: true });
  }
}

await run();
