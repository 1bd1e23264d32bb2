import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { requestFor } from "#pkg/batch/conformance/harness.ts";
import { BatchPhase } from "#pkg/batch/index.ts";
import { createFolders } from "./folder.ts";
import { createObserver } from "./observe.ts";
import { fromProc, fromPs } from "./process-table.ts";
import { parseExit, parseIntent, parsePid } from "./records.ts";
import { folderWithoutShim, newWorkdir } from "./testing.ts";

test("an end recorded between the look at the folder and the look at the process is seen, not taken for lost", async () => {
  const workdir = await newWorkdir();
  const request = requestFor({ entrypoint: "/bin/true", commands: [] });
  const folder = await folderWithoutShim(workdir, request);
  await writeFile(join(folder, "pid"), "process 77 n boot 1\n");
  const processes = {
    bootId: "boot",
    async startTimes() {
      await writeFile(join(folder, "exit"), "0 exited\n");
      return new Map<number, string>();
    },
  };
  const states = await createObserver(createFolders(workdir), processes).states([request.batchJobId]);
  expect(states.get(request.batchJobId)).toMatchObject({ phase: BatchPhase.Succeeded });
  await rm(workdir, { recursive: true });
});

test("with /proc and without, the same processes live", async () => {
  const child = spawn("/bin/sh", ["-c", "sleep 0.05 & echo $!; exec sleep 300"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const [line] = await once(child.stdout, "data");
  const [zombie, nobody] = [Number(String(line)), 2 ** 22 + 1];
  const pids = [process.pid, child.pid ?? 0, nobody];
  expect([...(await fromPs(pids)).keys()].sort()).toEqual([...fromProc(pids).keys()].sort());
  while (fromProc([zombie]).has(zombie)) await fromPs([zombie]);
  expect((await fromPs([zombie, process.pid])).has(zombie)).toBe(false);
  expect((await fromPs([nobody])).size).toBe(0);
  expect((await fromPs([])).size).toBe(0);
  child.kill("SIGKILL");
});

test("without /proc a process says the same of itself as ps does of it", async () => {
  const script = "LC_ALL=C TZ=UTC ps -o lstart= -p $$; exec sleep 300";
  const child = spawn("/bin/sh", ["-c", script], { stdio: ["ignore", "pipe", "ignore"] });
  const [line] = await once(child.stdout, "data");
  const own = parsePid(`process ${child.pid} n boot ${line}`);
  const seen = (await fromPs([child.pid ?? 0])).get(child.pid ?? 0);
  expect(own).toEqual({ kind: "process", pid: child.pid, nonce: "n", bootId: "boot", startTime: seen });
  child.kill("SIGKILL");
});

test("no text in a record throws", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      parsePid(text);
      parseExit(text);
      parseIntent(text);
    }),
  );
});

test("no beginning of a link's text is taken for the whole", () => {
  const whole = "process 123 abc boot 456\n";
  for (let length = 0; length < whole.length; length++)
    expect(parsePid(whole.slice(0, length))).toBeUndefined();
  expect(parsePid(whole)).toMatchObject({ pid: 123, startTime: "456" });
});
