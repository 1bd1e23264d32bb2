import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually, never, requestFor, trusted } from "#pkg/batch/conformance/harness.ts";
import { BatchPhase, type BatchProvider, type CreateRequest, hasEnded } from "#pkg/batch/index.ts";
import { linesOf, newWorkdir, providerIn } from "#pkg/batch/local/testing.ts";
import { createSeededEntropy, systemClock } from "#pkg/clock/index.ts";

const LAUNCHER = fileURLToPath(new URL("./launcher.ts", import.meta.url));
const ENDED = ({ phase }: { phase: BatchPhase }) => hasEnded(phase);

let workdir: string;
let provider: BatchProvider;

beforeAll(async () => {
  workdir = await newWorkdir();
  provider = providerIn(workdir);
  await provider.start();
});
afterAll(async () => {
  await provider.stop();
  await rm(workdir, { recursive: true, force: true, maxRetries: 5 });
});

/** Appends one line to a file of the attempt's own, outside of its folder. */
function onceLine(more = ""): CreateRequest {
  const script = `echo ran >> "${workdir}/\${JENNAH_ATTEMPT_DIR##*/}.lines"; ${more}`;
  return requestFor({ entrypoint: "/bin/sh", commands: ["-c", script] });
}
const ranOf = async ({ batchJobId }: CreateRequest) =>
  (await linesOf(join(workdir, `${batchJobId}.lines`))).length;

function startLauncher(requests: readonly CreateRequest[], stopAt = 0): ChildProcess {
  const child = spawn(process.execPath, [LAUNCHER, workdir, String(stopAt)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  // A launcher that is killed early does not read it all.
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(requests.map((request) => JSON.stringify(request)).join("\n"));
  return child;
}

/** Resolves when the launcher has printed so many lines, or has ended. The first says that it started; then comes one for each outcome. */
function printed(child: ChildProcess, lines: number): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0;
    // Listens on to the end: a child whose output is not read never closes.
    child.stdout?.on("data", (chunk) => {
      seen += String(chunk).split("\n").length - 1;
      if (seen >= lines) resolve();
    });
    child.once("close", () => resolve());
  });
}

/** Resolves when the launcher has frozen itself. */
async function frozen(child: ChildProcess): Promise<void> {
  for (let looks = 0; looks < 6_000; looks++) {
    const stat = await readFile(`/proc/${child.pid}/stat`, "latin1");
    if (stat.split(") ").at(-1)?.startsWith("T")) return;
    await systemClock.sleep(10);
  }
  throw new Error("the launcher did not freeze");
}

/** The launcher's one outcome, after it was woken. */
async function thaw(child: ChildProcess): Promise<unknown> {
  let text = "";
  child.stdout?.on("data", (chunk) => {
    text += String(chunk);
  });
  child.kill("SIGCONT");
  await once(child, "close");
  const line = text.split("\n").find((each) => each.startsWith("{"));
  return line === undefined ? undefined : JSON.parse(line);
}

// They start a hundred processes, which takes a busy machine its time.
describe("launchers killed at random, many at once", () => {
  test("each of 30 attempts runs exactly once, and none is lost", async () => {
    const requests = Array.from({ length: 30 }, () => onceLine());
    const dice = createSeededEntropy(7);
    const leftBehind = { staged: 0, unstarted: 0, started: 0 };
    for (let round = 0; round < 6; round++) {
      const shuffled = [...requests].sort(() => dice.uniform() - 0.5);
      const batch = shuffled.slice(0, 5 * (round + 1));
      await Promise.all(
        Array.from({ length: 5 }, async () => {
          const child = startLauncher(batch);
          const closed = once(child, "close");
          // By what it has done, not by time alone: a busy machine may do nothing in a moment. The others' lanes are under way.
          await printed(child, 1 + Math.floor((dice.uniform() * batch.length) / 2));
          await systemClock.sleep(dice.uniform() * 20);
          child.kill("SIGKILL");
          await closed;
        }),
      );
      for (const name of await readdir(join(workdir, "jobs"))) {
        const names: readonly string[] = await readdir(join(workdir, "jobs", name));
        if (name.startsWith(".new-")) leftBehind.staged += 1;
        else leftBehind[names.includes("pid") ? "started" : "unstarted"] += 1;
      }
    }
    // Shows that the kills fell in between, and not all before or after.
    expect(leftBehind.started).toBeGreaterThan(0);
    expect(leftBehind.staged + leftBehind.unstarted).toBeGreaterThan(0);
    const outcomes = await Promise.all(requests.map((request) => provider.create(request, trusted())));
    expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(["accepted"]));
    for (const request of requests) {
      expect(await eventually(provider, request.batchJobId, ENDED)).toMatchObject({
        phase: BatchPhase.Succeeded,
      });
      expect(await ranOf(request)).toBe(1);
    }
  });

  test("five launchers that live make each attempt run once", async () => {
    const requests = Array.from({ length: 30 }, () => onceLine());
    const children = Array.from({ length: 5 }, () => startLauncher(requests));
    for (const child of children) child.stdout?.resume();
    const codes = await Promise.all(children.map(async (child) => (await once(child, "close"))[0]));
    expect(codes).toEqual([0, 0, 0, 0, 0]);
    for (const request of requests) {
      await eventually(provider, request.batchJobId, ENDED);
      expect(await ranOf(request)).toBe(1);
    }
  });
});

describe("a launcher killed at a chosen point", () => {
  test.each([
    ["before the attempt has its name", 1],
    ["between the name and the launch", 2],
  ])("%s leaves an attempt that the next create runs, once", async (_, stopAt) => {
    const request = onceLine();
    const child = startLauncher([request], stopAt);
    await frozen(child);
    child.kill("SIGKILL");
    await once(child, "close");
    expect(await provider.create(request, trusted())).toMatchObject({ kind: "accepted", adopted: false });
    await eventually(provider, request.batchJobId, ENDED);
    expect(await ranOf(request)).toBe(1);
  });

  test("after the launch leaves a job that goes on, which any other worker sees", async () => {
    const request = onceLine("while [ ! -e go ]; do sleep 0.05; done; echo end");
    const child = startLauncher([request]);
    child.stdout?.resume();
    await eventually(provider, request.batchJobId, ({ phase }) => phase === BatchPhase.Running);
    child.kill("SIGKILL");
    const again = await provider.create(request, trusted());
    expect(again).toMatchObject({ kind: "accepted", adopted: true, state: { phase: BatchPhase.Running } });
    const go = spawn("touch", [join(workdir, "jobs", request.batchJobId, "home", "go")]);
    await once(go, "close");
    expect(await eventually(provider, request.batchJobId, ENDED)).toMatchObject({
      phase: BatchPhase.Succeeded,
    });
    expect(await ranOf(request)).toBe(1);
  });
});

describe("a launcher that freezes and goes on later", () => {
  test.each([
    ["before the name", 1],
    ["between the name and the launch", 2],
  ])("%s finds the attempt run, and does not run it again", async (_, stopAt) => {
    const request = onceLine();
    const child = startLauncher([request], stopAt);
    await frozen(child);
    await provider.create(request, trusted());
    await eventually(provider, request.batchJobId, ENDED);
    expect(await thaw(child)).toEqual({ kind: "accepted", adopted: true, phase: BatchPhase.Succeeded });
    expect(await ranOf(request)).toBe(1);
  });

  test("between the name and the launch, cancelled meanwhile, does not run it", async () => {
    const request = onceLine();
    const child = startLauncher([request], 2);
    await frozen(child);
    await provider.terminate(request.batchJobId, never());
    expect(await thaw(child)).toEqual({ kind: "accepted", adopted: true, phase: BatchPhase.Cancelled });
    expect(await ranOf(request)).toBe(0);
  });

  test.each([
    ["before the name", 1],
    ["between the name and the launch", 2],
  ])("%s, removed meanwhile, does not run it", async (_, stopAt) => {
    const request = onceLine();
    const child = startLauncher([request], stopAt);
    await frozen(child);
    await provider.create(request, trusted());
    await eventually(provider, request.batchJobId, ENDED);
    await provider.remove(request.batchJobId, trusted());
    expect(await thaw(child)).not.toMatchObject({ kind: "accepted" });
    expect(await ranOf(request)).toBe(1);
  });
});
