import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { eventually, never, requestFor, trusted } from "#pkg/batch/conformance/harness.ts";
import { BatchPhase, type BatchProvider, hasEnded, TrustLapsedError } from "#pkg/batch/index.ts";
import { createManualClock, systemClock, systemEntropy } from "#pkg/clock/index.ts";
import { StartupError } from "#pkg/errors/index.ts";
import { createLocalProvider } from "./index.ts";
import { openProcessTable } from "./process-table.ts";
import { folderWithoutShim, newWorkdir, providerIn, silent, testShell } from "./testing.ts";

const ENDED = ({ phase }: { phase: BatchPhase }) => hasEnded(phase);
const sh = (script: string) => ({ entrypoint: "/bin/sh", commands: ["-c", script] });

let workdir: string;
let provider: BatchProvider;
const groups: number[] = [];

beforeAll(async () => {
  workdir = await newWorkdir();
  provider = providerIn(workdir, testShell());
  await provider.start();
});
afterEach(() => {
  // Only groups that a test has started and left: its own processes, by id.
  for (const group of groups.splice(0)) {
    if (isAlive(group)) process.kill(-group, "SIGKILL");
  }
});
afterAll(async () => {
  await provider.stop();
  await rm(workdir, { recursive: true, force: true, maxRetries: 5 });
});

const folderOf = (batchJobId: string) => join(workdir, "jobs", batchJobId);
const describeOne = async (batchJobId: string) =>
  (await provider.describe([batchJobId], never())).get(batchJobId);

/** Runs a script until the file `ready` is in its home, and answers the shim's pid. */
async function runUntilReady(script: string, more: Parameters<typeof requestFor>[1] = {}) {
  const request = requestFor(sh(script), more);
  expect(await provider.create(request, trusted())).toMatchObject({ kind: "accepted", adopted: false });
  const folder = folderOf(request.batchJobId);
  await until(async () => (await readdir(join(folder, "home"))).includes("ready"));
  const shim = Number((await readFile(join(folder, "pid"), "utf8")).split(" ")[1]);
  groups.push(shim);
  return { request, id: request.batchJobId, folder, shim };
}

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let looks = 0; looks < 6_000; looks++) {
    if (await holds()) return;
    await systemClock.sleep(10);
  }
  throw new Error("it never held");
}

/** Whether anything is left of the group; a zombie counts until init has reaped it. */
function isAlive(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: "ESRCH" });
    return false;
  }
}

describe("the program's surroundings", () => {
  test("its environment is PATH, HOME, its folder and its own, which win; never the worker's", async () => {
    process.env.WORKERS_OWN = "secret";
    const env = { OWN: "1", IFS: "=", LD_PRELOAD: "/nonexistent.so", LC_ALL: "xx_YY", PWD: "/x" };
    const request = requestFor({ entrypoint: "/usr/bin/env", commands: ["-0"] }, { env });
    expect(provider.validate(request.spec)).toEqual([]);
    await provider.create(request, trusted());
    await eventually(provider, request.batchJobId, ENDED);
    delete process.env.WORKERS_OWN;
    const output = await readFile(join(folderOf(request.batchJobId), "output"), "utf8");
    // The loader complains of the library once for each program that gets to see it.
    const pairs = output.slice(output.lastIndexOf("ignored.\n") + "ignored.\n".length).split("\0");
    expect(output.match(/ignored\.\n/g)).toHaveLength(1);
    expect(pairs.sort()).toEqual(
      [
        "",
        ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
        `HOME=${folderOf(request.batchJobId)}/home`,
        `JENNAH_ATTEMPT_DIR=${folderOf(request.batchJobId)}`,
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      ].sort(),
    );
  });

  test("no env value stands in a file or in an argument list, while it runs and after", async () => {
    const secret = "s3cr3t-value-of-the-job";
    const { id, folder, shim } = await runUntilReady("touch ready; exec sleep 300", {
      env: { TOKEN: secret },
    });
    for (const pid of await pidsOf(shim)) {
      expect(await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "")).not.toContain(secret);
    }
    await provider.terminate(id, never());
    await eventually(provider, id, ENDED);
    for (const name of await readdir(folder)) {
      if (name !== "home") expect(await readFile(join(folder, name), "utf8")).not.toContain(secret);
    }
  });

  test("it starts in its home, with empty input and no descriptor of its launcher", async () => {
    const script = "pwd; cat; readlink /proc/$$/fd/0; ls /proc/$$/fd/3";
    const request = requestFor(sh(script));
    await provider.create(request, trusted());
    await eventually(provider, request.batchJobId, ENDED);
    const folder = folderOf(request.batchJobId);
    const lines = (await readFile(join(folder, "output"), "utf8")).split("\n");
    expect(lines.slice(0, 2)).toEqual([`${folder}/home`, "/dev/null"]);
    expect(lines[2]).toMatch(/No such file/);
  });

  test("output and errors are in one file, in their order", async () => {
    const request = requestFor(sh("echo one; echo two >&2; echo three"));
    await provider.create(request, trusted());
    await eventually(provider, request.batchJobId, ENDED);
    expect(await readFile(join(folderOf(request.batchJobId), "output"), "utf8")).toBe("one\ntwo\nthree\n");
  });

  test("the first of commands is the program where there is no entrypoint", async () => {
    const request = requestFor({ entrypoint: "", commands: ["/bin/sh", "-c", "exit 4"] });
    await provider.create(request, trusted());
    expect(await eventually(provider, request.batchJobId, ENDED)).toMatchObject({ exitCode: 4 });
  });

  test.each([
    ["/nonexistent/program", 127, /not found/],
    ["/etc/passwd", 126, /denied/],
  ])("%s cannot be started, and says so", async (entrypoint, exitCode, words) => {
    const request = requestFor({ entrypoint, commands: [] });
    await provider.create(request, trusted());
    const end = await eventually(provider, request.batchJobId, ENDED);
    expect(end).toMatchObject({ phase: BatchPhase.Failed, reason: "EXIT_CODE", exitCode });
    expect(end.message).toMatch(words);
    expect(end.message).not.toContain("shim");
  });

  test.each([
    [126, "exit code 126"],
    [127, "exit code 127"],
    [137, "exit code 137: ended by signal 9"],
    [255, "exit code 255"],
  ])(
    "a program that ends with %i itself is told so, and nothing of its output is",
    async (exitCode, message) => {
      const request = requestFor(sh(`echo token=secret; exit ${exitCode}`));
      await provider.create(request, trusted());
      const end = await eventually(provider, request.batchJobId, ENDED);
      expect(end).toMatchObject({ phase: BatchPhase.Failed, reason: "EXIT_CODE", exitCode, message });
    },
  );

  test("arguments longer than the machine takes are rejected", async () => {
    const commands = Array.from({ length: 40 }, () => "x".repeat(100_000));
    const request = requestFor({ entrypoint: "/bin/true", commands });
    expect(await provider.create(request, trusted())).toMatchObject({
      kind: "rejected",
      reason: "ARGUMENTS_TOO_LONG",
    });
  });
});

describe("the end", () => {
  test("a program that ignores TERM is dead after the grace, with its grandchildren", async () => {
    const script = "trap '' TERM; (trap '' TERM; sleep 300; sleep 300) & touch ready; sleep 300; sleep 300";
    const { id, shim } = await runUntilReady(script);
    await provider.terminate(id, never());
    expect(await eventually(provider, id, ENDED)).toMatchObject({
      phase: BatchPhase.Cancelled,
      exitCode: 137,
    });
    await until(() => !isAlive(shim));
  });

  test("the grace is ten seconds where nothing else is said, and no process of ours is needed for it", async () => {
    const tools = { clock: systemClock, entropy: systemEntropy, log: silent };
    const other = createLocalProvider({ workdir, ...tools, ...testShell() });
    await other.start();
    const request = requestFor(sh("trap '' TERM; touch ready; while :; do sleep 0.1; done"));
    await other.create(request, trusted());
    const folder = folderOf(request.batchJobId);
    await until(async () => (await readdir(join(folder, "home"))).includes("ready"));
    const begun = systemClock.monotonicMs();
    await other.terminate(request.batchJobId, never());
    await other.stop();
    await eventually(provider, request.batchJobId, ({ phase }) => phase === BatchPhase.Stopping);
    await eventually(provider, request.batchJobId, ENDED);
    const tookMs = systemClock.monotonicMs() - begun;
    expect(tookMs).toBeGreaterThan(9_500);
    // Far enough from ten for a busy machine, and near enough to tell them from a grace that is several times as long.
    expect(tookMs).toBeLessThan(30_000);
  });

  test("what a program leaves behind ends with it", async () => {
    const { id, shim } = await runUntilReady("(trap '' TERM; sleep 300) & touch ready; exit 0");
    expect(await eventually(provider, id, ENDED)).toMatchObject({ phase: BatchPhase.Succeeded });
    await until(() => !isAlive(shim));
  });

  test("a program that heeds TERM and ends well was cancelled all the same", async () => {
    const { id } = await runUntilReady("trap 'exit 0' TERM; touch ready; while :; do sleep 0.05; done");
    await provider.terminate(id, never());
    expect(await eventually(provider, id, ENDED)).toMatchObject({ phase: BatchPhase.Cancelled, exitCode: 0 });
  });

  test("a TERM that no cancel announced is a failure, not a cancel", async () => {
    const { id, shim } = await runUntilReady("touch ready; exec sleep 300");
    process.kill(shim, "SIGTERM");
    expect(await eventually(provider, id, ENDED)).toMatchObject({ phase: BatchPhase.Failed, exitCode: 143 });
  });

  test("a program that ignores TERM does not outlast its run-time limit by more than the grace", async () => {
    const spec = { resourceOverride: { maxRunDurationSeconds: 3 } };
    const { id, shim } = await runUntilReady("trap '' TERM; touch ready; while :; do sleep 0.1; done", {
      spec,
    });
    const end = await eventually(provider, id, ENDED);
    expect(end).toMatchObject({ phase: BatchPhase.Failed, reason: "TIMEOUT" });
    await until(() => !isAlive(shim));
  });

  test("a shim killed with KILL is lost, and terminate ends what it left", async () => {
    const { id, shim, request } = await runUntilReady("touch ready; exec sleep 300");
    process.kill(shim, "SIGKILL");
    const end = await eventually(provider, id, ENDED);
    expect(end).toMatchObject({ phase: BatchPhase.Failed, reason: "PROVIDER_LOST", endedUnstarted: false });
    expect(isAlive(shim)).toBe(true);
    await provider.terminate(id, never());
    await until(() => !isAlive(shim));
    expect(await provider.create(request, trusted())).toMatchObject({ kind: "accepted", adopted: true });
    expect(await describeOne(id)).toMatchObject({ reason: "PROVIDER_LOST" });
  });
});

describe("what a crash leaves", () => {
  const withPid = async (pid: string) => {
    const request = requestFor(sh("exit 0"));
    const folder = await folderWithoutShim(workdir, request);
    await writeFile(join(folder, "pid"), pid);
    return { request, folder, id: request.batchJobId };
  };

  test("a name without a shim is queued, and the next create runs it", async () => {
    const request = requestFor(sh("exit 0"));
    await folderWithoutShim(workdir, request);
    expect(await describeOne(request.batchJobId)).toMatchObject({ phase: BatchPhase.Queued });
    expect(await provider.create(request, trusted())).toMatchObject({ kind: "accepted", adopted: false });
    expect(await eventually(provider, request.batchJobId, ENDED)).toMatchObject({
      phase: BatchPhase.Succeeded,
    });
  });

  test("trust that lapses between the name and the launch launches nothing, and is no refusal", async () => {
    const request = requestFor(sh("exit 0"));
    let asked = 0;
    const fading = {
      ...trusted(),
      assertTrusted() {
        asked += 1;
        if (asked === 2) throw new TrustLapsedError();
      },
    };
    expect(await provider.create(request, fading)).toMatchObject({ kind: "unknown" });
    expect(await describeOne(request.batchJobId)).toMatchObject({ phase: BatchPhase.Queued });
    expect(await provider.create(request, trusted())).toMatchObject({ kind: "accepted", adopted: false });
    await eventually(provider, request.batchJobId, ENDED);
  });

  test("a deadline that has passed launches nothing", async () => {
    const request = requestFor(sh("exit 0"));
    const late = { ...trusted(), signal: AbortSignal.abort(new Error("deadline")) };
    // The deadline's own words: it was seen before the launch. A launch that is cut short tells of an abort.
    expect(await provider.create(request, late)).toMatchObject({
      kind: "unknown",
      cause: { message: "deadline" },
    });
    expect(await describeOne(request.batchJobId)).toMatchObject({ phase: BatchPhase.Queued });
    await provider.terminate(request.batchJobId, never());
  });

  test("a name without a shim from before a restart of the machine is lost, not run again", async () => {
    const request = requestFor(sh("touch ran"));
    const folder = await folderWithoutShim(workdir, request, "another-boot");
    const outcome = await provider.create(request, trusted());
    expect(outcome).toMatchObject({ kind: "accepted", adopted: true, state: { reason: "PROVIDER_LOST" } });
    expect(await readdir(join(folder, "home"))).toEqual([]);
  });

  test("the pid of a living process means nothing with another start time, or of another boot", async () => {
    const { bootId, startTimes } = await openProcessTable();
    const start = (await startTimes([process.pid])).get(process.pid);
    const alive = await withPid(`process ${process.pid} n ${bootId} ${start}\n`);
    expect(await describeOne(alive.id)).toMatchObject({ phase: BatchPhase.Running });
    for (const pid of [`${process.pid} n ${bootId} 1`, `${process.pid} n other-boot ${start}`]) {
      const { id } = await withPid(`process ${pid}\n`);
      expect(await describeOne(id)).toMatchObject({ phase: BatchPhase.Failed, reason: "PROVIDER_LOST" });
      // Must not end this very process.
      await provider.terminate(id, never());
    }
  });

  test("a zombie is not alive", async () => {
    // The shell becomes a sleep, which never asks for the end of the child that the shell had.
    const parent = spawn("/bin/sh", ["-c", "sleep 0.05 & echo $!; exec sleep 300"], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [line] = await once(parent.stdout, "data");
    const pid = Number(String(line));
    const stat = async () => (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    await until(async () => (await stat())[0] === "Z");
    const { bootId } = await openProcessTable();
    const { id } = await withPid(`process ${pid} n ${bootId} ${(await stat())[19]}\n`);
    expect(await describeOne(id)).toMatchObject({ reason: "PROVIDER_LOST" });
    parent.kill("SIGKILL");
  });

  test.each(["", "process 12", "process 12 n b", "rubbish\n", "none\n"])(
    "a torn link (%j) is lost, and taken",
    async (text) => {
      const { id, request, folder } = await withPid(text);
      expect(await describeOne(id)).toMatchObject({ reason: "PROVIDER_LOST" });
      await provider.terminate(id, never());
      expect(await provider.create(request, trusted())).toMatchObject({ kind: "accepted", adopted: true });
      expect(await readdir(join(folder, "home"))).toEqual([]);
    },
  );

  test("a torn record of the end is lost", async () => {
    const { id, folder } = await withPid("process 1 n other-boot 1\n");
    await writeFile(join(folder, "exit"), "");
    expect(await describeOne(id)).toMatchObject({ phase: BatchPhase.Failed, reason: "PROVIDER_LOST" });
  });

  test("a folder that is no attempt's is left alone", async () => {
    const request = requestFor(sh("exit 0"));
    await mkdir(folderOf(request.batchJobId));
    await writeFile(join(folderOf(request.batchJobId), "letter"), "dear");
    expect(await provider.look(request, never())).toEqual({ kind: "absent" });
    expect(await provider.create(request, trusted())).toMatchObject({
      kind: "rejected",
      reason: "NAME_TAKEN",
    });
  });

  test("a workdir that cannot be written refuses, and nothing was made", async () => {
    const place = await newWorkdir();
    const lonely = providerIn(place);
    await lonely.start();
    await rm(join(place, "jobs"), { recursive: true });
    expect(await lonely.create(requestFor(sh("exit 0")), trusted())).toMatchObject({
      kind: "refused",
      reason: "LOCAL_WORKDIR",
    });
    expect(await readdir(place)).toEqual([]);
    await lonely.stop();
    await rm(place, { recursive: true });
  });

  test("a program that does not start for want of a shell is refused, and runs once there is one", async () => {
    const place = await newWorkdir();
    const shell = join(place, "sh");
    await symlink("/bin/sh", shell);
    const fickle = providerIn(place, { shell: [shell] });
    await fickle.start();
    await rm(shell);
    const request = requestFor(sh("exit 0"));
    expect(await fickle.create(request, trusted())).toMatchObject({
      kind: "refused",
      reason: "LOCAL_LAUNCH_FAILED",
    });
    await symlink("/bin/sh", shell);
    expect(await fickle.create(request, trusted())).toMatchObject({ kind: "accepted", adopted: false });
    await eventually(fickle, request.batchJobId, ENDED);
    await fickle.stop();
    await rm(place, { recursive: true });
  });
});

describe("names", () => {
  test("a removed name is not free for seven days, and then it is", async () => {
    const place = await newWorkdir();
    const clock = createManualClock(systemClock.nowMs());
    const keeper = providerIn(place, { clock });
    await keeper.start();
    const request = requestFor(sh("exit 0"));
    await keeper.create(request, trusted());
    await eventually(keeper, request.batchJobId, ENDED);
    await keeper.remove(request.batchJobId, trusted());
    expect((await readdir(join(place, "jobs", request.batchJobId))).sort()).toEqual([
      "intent",
      "pid",
      "removed",
    ]);
    expect(await keeper.create(request, trusted())).toMatchObject({
      kind: "rejected",
      reason: "NAME_REMOVED",
    });
    const days = 24 * 3_600_000;
    await clock.advance(6.9 * days);
    expect(await readdir(join(place, "jobs"))).toEqual([request.batchJobId]);
    await clock.advance(0.2 * days);
    await until(async () => (await readdir(join(place, "jobs"))).length === 0);
    await keeper.stop();
    await rm(place, { recursive: true });
  });

  test("what still runs is not removed", async () => {
    const { id, folder } = await runUntilReady("touch ready; exec sleep 300");
    await expect(provider.remove(id, trusted())).rejects.toThrow(/still runs/);
    expect(await readdir(folder)).not.toContain("removed");
    await provider.terminate(id, never());
    await eventually(provider, id, ENDED);
  });

  test("no name leads out of the workdir", async () => {
    expect((await provider.describe(["..", "../jobs", ".", ""], never())).size).toBe(0);
    await provider.terminate("../x", never());
    await provider.remove("../x", trusted());
  });

  test("the target is a name of the workdir's real path on this machine", async () => {
    const [one, two] = [await newWorkdir(), await newWorkdir()];
    await symlink(one, join(two, "link"));
    expect(providerIn(join(two, "link")).target).toBe(providerIn(one).target);
    expect(providerIn(two).target).not.toBe(providerIn(one).target);
    await rm(one, { recursive: true });
    await rm(two, { recursive: true });
  });

  test("a workdir that cannot be is a start-up error that names its setting", async () => {
    await writeFile(join(workdir, "file"), "");
    expect(() => providerIn(join(workdir, "file", "below"))).toThrow(StartupError);
    expect(() => providerIn(join(workdir, "file", "below"))).toThrow(/LOCAL_WORKDIR/);
    const withoutShell = providerIn(workdir, { shell: ["/nonexistent/sh"] });
    await expect(withoutShell.start()).rejects.toThrow(/LOCAL_WORKDIR: programs cannot be run/);
    await withoutShell.stop();
  });
});

async function pidsOf(group: number): Promise<readonly number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map(Number);
  const groupOf = async (pid: number) =>
    Number((await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "")).split(") ").at(-1)?.split(" ")[2]);
  const found = await Promise.all(pids.map(async (pid) => ((await groupOf(pid)) === group ? [pid] : [])));
  expect(found.flat()).toContain(group);
  return found.flat();
}
