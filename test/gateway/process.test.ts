import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, describe, expect, it } from "vitest";
import { later, startUpstream, until } from "./support.ts";

const MAIN = new URL("../../cmd/gateway/main.ts", import.meta.url).pathname;
const children: ChildProcess[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

/** Runs the command in an empty folder, with nothing of this process' settings. */
function run(env: Record<string, string>) {
  const cwd = mkdtempSync(join(tmpdir(), "jennah-gateway-"));
  folders.push(cwd);
  const child = spawn(process.execPath, [MAIN], { cwd, env, stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const lines: Record<string, unknown>[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(JSON.parse(line)));
  const exited = once(child, "close").then(([code]) => code as number | null);
  return { child, lines, exited };
}

describe("the command", () => {
  it("exits 78 with all faults of its settings", async () => {
    const { lines, exited } = run({ GATEWAY_PORT: "x", WORKER_URLS: "ftp://a" });
    expect(await exited).toBe(78);
    expect(lines.map(({ msg }) => String(msg).split(":")[0])).toEqual(["GATEWAY_PORT", "WORKER_URLS"]);
  });

  it("exits 1 with the setting's name when its port is taken", async () => {
    const holder = createServer();
    later({ destroy: () => holder.close() });
    holder.listen(0, "127.0.0.1");
    await once(holder, "listening");
    const { port } = holder.address() as { port: number };
    const env = { GATEWAY_PORT: String(port), GATEWAY_HOST: "127.0.0.1", WORKER_URLS: "http://127.0.0.1:9" };
    const { lines, exited } = run(env);
    expect(await exited).toBe(1);
    expect(lines.some(({ msg }) => String(msg).startsWith("GATEWAY_PORT:"))).toBe(true);
  });

  it("serves, and ends with 0 on SIGTERM after what is in flight", async () => {
    const release = Promise.withResolvers<void>();
    const upstream = await startUpstream("worker-1", {
      http1: (request, response) =>
        void request.resume().on("end", () => release.promise.then(() => response.end("{}"))),
    });
    const env = {
      GATEWAY_PORT: "0",
      GATEWAY_HOST: "127.0.0.1",
      WORKER_URLS: `worker-1=${upstream.url.origin}`,
    };
    const { child, lines, exited } = run(env);
    const listening = () =>
      lines.map(({ msg }) => /^Gateway listening on (.*)$/.exec(String(msg))?.[1]).find(Boolean);
    await until(() => listening() !== undefined && lines.some(({ msg }) => msg === "worker is ready"));
    const headers = { "content-type": "application/json", "x-tenant-id": "t" };
    const url = `http://${listening()}/jennah.v1.DeploymentService/SubmitJob`;
    const call = fetch(url, { method: "POST", headers, body: "{}" });
    await until(() => upstream.seen.length === 1);
    child.kill("SIGTERM");
    await until(() => lines.some(({ msg }) => msg === "draining"));
    release.resolve();
    expect((await call).status).toBe(200);
    expect(await exited).toBe(0);
  });
});
