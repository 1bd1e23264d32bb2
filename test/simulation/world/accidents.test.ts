import { describe, expect, it } from "vitest";
import { textOf } from "#test/simulation/kernel/trace.ts";
import { ALL } from "#test/simulation/search/run-seed.ts";
import { type Accident, drawSetting, type Setting } from "./setting.ts";
import { runWorld } from "./world.ts";

/** One worker and one gateway, on the first of two machines, with clocks that go wrong; nothing befalls them but this. */
function settingWith(accidents: readonly Accident[]): Setting {
  const drawn = drawSetting(1);
  const [worker] = drawn.workers;
  const [gateway] = drawn.gateways;
  if (worker === undefined || gateway === undefined) throw new Error("seed 1 has no worker or no gateway");
  const targets = drawn.clouds.map(({ target }) => target);
  return {
    ...drawn,
    machines: ["first", "second"].map((name) => ({ name, rate: 1.02, offsetMs: 700 })),
    workers: [{ ...worker, machine: "first", targets }],
    gateways: [{ ...gateway, machine: "first" }],
    jobs: drawn.jobs.map((job) => ({ ...job, gateway: 0, target: undefined })),
    odds: new Map(),
    accidents,
  };
}

const crash: Accident = { id: "one", kind: "crash", atMs: 3_000, forMs: 2_000, which: 0, other: 0 };
const run = (setting: Setting, allows = ALL) => runWorld({ setting, allows, keepsTrace: true });

describe("what befalls a world", () => {
  it.each(["crash", "replace", "drain", "freeze"] as const)(
    "counts no %s where nobody runs",
    async (kind) => {
      const end = await run(settingWith([crash, { ...crash, id: "two", kind, atMs: 3_500 }]));
      expect(end.struck).toContain("one");
      expect(end.struck).not.toContain("two");
      expect(textOf(end.trace)).toBe(textOf((await run(settingWith([crash]))).trace));
    },
  );

  it.each(["suspend", "jump", "cut", "one-way cut"] as const)(
    "counts no %s of a machine that nobody uses",
    async (kind) => {
      const idle = await run(settingWith([{ ...crash, kind, which: 0.9 }]));
      expect(idle.struck).not.toContain("one");
      const used = await run(settingWith([{ ...crash, kind }]));
      expect(used.struck).toContain("one");
    },
  );

  it("counts no crash of a gateway that is down", async () => {
    const down: Accident = { ...crash, kind: "gateway crash" };
    const end = await run(settingWith([down, { ...down, id: "two", atMs: 3_500 }]));
    expect(end.counts.get("gateway crash")).toBe(1);
  });

  it("begins with the clocks that go wrong, each of which can be left out", async () => {
    const end = await run(settingWith([]));
    expect(end.struck).toEqual(expect.arrayContaining(["first rate", "first offset"]));
    expect(end.struck).not.toContain("second rate");
    expect(end.trace.lines.slice(0, 2).map(({ what }) => what)).toEqual([
      "the monotonic clock of first goes 2.00 % fast",
      "the wall clock of first is ahead by 700 ms",
    ]);
    const right = await run(settingWith([]), (id) => !id.startsWith("first "));
    const planned = settingWith([]);
    const machines = planned.machines.map((machine) => ({ ...machine, rate: 1, offsetMs: 0 }));
    expect(textOf(right.trace)).toBe(textOf((await run({ ...planned, machines })).trace));
  });

  it("lets a caller's hang-up and its further tries be left out", async () => {
    const drawn = settingWith([{ ...crash, kind: "store outage", atMs: 2_500, forMs: 40_000 }]);
    const impatient = drawn.jobs.map((job) => ({
      ...job,
      atMs: 3_000,
      idempotencyKey: "k",
      tries: 2,
      hangsUpAfterMs: 500,
    }));
    const hurried = await run({ ...drawn, jobs: impatient });
    expect(hurried.struck).toContain("job-1 hang-up");
    const waiting = await run({ ...drawn, jobs: impatient }, (id) => !id.endsWith("hang-up"));
    expect(waiting.struck).toContain("job-1 try-2");
    const once = await run({ ...drawn, jobs: impatient }, (id) => !/hang-up|try-2/.test(id));
    expect(once.struck.filter((id) => /hang-up|try-/.test(id))).toEqual([]);
  });
});
