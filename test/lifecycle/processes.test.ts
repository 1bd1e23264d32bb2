import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { eventually, type NodeProcess, startNode } from "#test/support/node-process.ts";

const PARENT = fileURLToPath(new URL("./parent.ts", import.meta.url));
const AN_HOUR_MS = "3600000";
const CUT_OFF = "stopped with work in flight; its jobs go to other workers";

const processes: NodeProcess[] = [];
const children: number[] = [];

afterEach(async () => {
  // One that is frozen does not notice that its parent is gone, and keeps that one's output open.
  for (const pid of children.splice(0).filter(isThere)) process.kill(pid, "SIGKILL");
  await Promise.all(processes.splice(0).map((each) => each.kill()));
});

/** A process, and the pid of the one that it runs. Both are up, unless the latter never is. */
async function start(env: Record<string, string>): Promise<{ parent: NodeProcess; child: number }> {
  const parent = startNode(PARENT, env);
  processes.push(parent);
  const line = await parent.line((each) => each.startsWith("child "));
  const child = Number(line.slice("child ".length));
  children.push(child);
  if (env.CHILD_STARTS !== "never") await parent.line((each) => each === "up");
  return { parent, child };
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** For a parent whose child will not leave: limits what would hang. */
async function untilLeft(parent: NodeProcess): Promise<void> {
  let left: Awaited<NodeProcess["ended"]> | undefined;
  void parent.ended.then((how) => {
    left = how;
  });
  await eventually(
    () => left,
    (how) => how !== undefined,
  );
  expect(left).toEqual({ code: 0, signal: null });
}

describe("a process that runs another", () => {
  it("which is frozen, kills it when the drain has taken as long as it may", async () => {
    const { parent, child } = await start({ DRAIN_MS: "500" });
    process.kill(child, "SIGSTOP");
    parent.signal("SIGTERM");
    await untilLeft(parent);
    expect(parent.lines).toContain(CUT_OFF);
    expect(isThere(child)).toBe(false);
  });

  it("which is frozen, kills it on a second signal", async () => {
    const { parent, child } = await start({ DRAIN_MS: AN_HOUR_MS });
    process.kill(child, "SIGSTOP");
    parent.signal("SIGTERM");
    await parent.line((line) => line === "draining");
    parent.signal("SIGTERM");
    await untilLeft(parent);
    expect(parent.lines).toContain(CUT_OFF);
    expect(isThere(child)).toBe(false);
  });

  it("which does not come up, is told to leave and kills it", async () => {
    const { parent, child } = await start({ DRAIN_MS: AN_HOUR_MS, CHILD_STARTS: "never" });
    parent.signal("SIGTERM");
    await untilLeft(parent);
    expect(isThere(child)).toBe(false);
  });

  it("waits for it to leave in order where it does", async () => {
    const { parent } = await start({ DRAIN_MS: AN_HOUR_MS });
    parent.signal("SIGTERM");
    await untilLeft(parent);
    expect(parent.lines).not.toContain(CUT_OFF);
  });
});
