import { describe, expect, it } from "vitest";
import type { WorkerRecord } from "#pkg/store/index.ts";
import { createPeerWatch, deadTermsOf } from "./peer-watch.ts";

function row(workerId: string, changes: Partial<WorkerRecord> = {}): WorkerRecord {
  return {
    workerId,
    term: 1,
    over: false,
    beat: 1,
    emptiedThrough: 0,
    instance: `${workerId}-1`,
    url: undefined,
    version: "test",
    level: 1,
    targets: [],
    kinds: [],
    capacity: 10,
    load: 0,
    draining: false,
    ...changes,
  };
}

const options = { workerId: "me", ttlMs: 3_000 };

describe("the watch over peers", () => {
  it("a beat that stands still is suspect after a whole TTL, counted from the answer of the first look", () => {
    const watch = createPeerWatch(options);
    expect(watch.look([row("a")], 10_000, 0)).toEqual([]);
    expect(watch.look([row("a")], 12_999, 0)).toEqual([]);
    expect(watch.look([row("a")], 13_000, 0)).toEqual([{ owner: { workerId: "a", term: 1 }, beat: 1 }]);
  });

  it("a beat that moves begins a new watch", () => {
    const watch = createPeerWatch(options);
    watch.look([row("a")], 0, 0);
    watch.look([row("a", { beat: 2 })], 2_900, 0);
    expect(watch.look([row("a", { beat: 2 })], 5_899, 0)).toEqual([]);
    expect(watch.look([row("a", { beat: 2 })], 5_900, 0)).toHaveLength(1);
  });

  it("the same beat in another term is another beat", () => {
    const watch = createPeerWatch(options);
    watch.look([row("a")], 0, 0);
    expect(watch.look([row("a", { term: 2 })], 3_000, 0)).toEqual([]);
  });

  it("neither this worker nor a term that is over is ever suspect", () => {
    const watch = createPeerWatch(options);
    const rows = [row("me"), row("a", { over: true })];
    watch.look(rows, 0, 0);
    expect(watch.look(rows, 60_000, 0)).toEqual([]);
  });

  it("silence from before the watcher was heard itself does not count", () => {
    const watch = createPeerWatch(options);
    watch.look([row("a")], 0, 0);
    expect(watch.look([row("a")], 5_000, undefined)).toEqual([]);
    expect(watch.look([row("a")], 8_099, 5_100)).toEqual([]);
    expect(watch.look([row("a")], 8_100, 5_100)).toHaveLength(1);
  });
});

describe("dead terms", () => {
  it("are those below the current one, and it too when it is over, behind the hint", () => {
    const rows = [
      row("open-first"),
      row("open-third", { term: 3, emptiedThrough: 1 }),
      row("over", { term: 2, over: true, emptiedThrough: 2 }),
    ];
    expect(deadTermsOf(rows, false)).toEqual([
      { workerId: "open-third", afterTerm: 1, throughTerm: 2 },
      { workerId: "over", afterTerm: 2, throughTerm: 2 },
    ]);
    expect(deadTermsOf(rows, true).map((dead) => dead.afterTerm)).toEqual([0, 0]);
  });
});
