import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { createSeededEntropy } from "#pkg/clock/index.ts";
import { createWorld } from "#pkg/store/conformance/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { PATIENCE_MS } from "#test/support/node-process.ts";
import { createFolder, openStore, storeAt } from "./open.ts";
import { startChild } from "./start-child.ts";

function worldOf(store: JobStore) {
  const stores = { store, peer: store, close: async () => {} };
  return createWorld(stores, async () => stores);
}

describe("many processes on one SQLite file", () => {
  it("who open a fresh path at once all find one deployment, and none is told of a lock", async () => {
    await using folder = await createFolder();
    const children = Array.from({ length: 4 }, () => startChild("open"));
    try {
      for (let round = 0; round < 20; round++) {
        for (const child of children) child.tell(folder.file(`round-${round}.db`));
        const answers = await Promise.all(children.map((child) => child.nextLine()));
        expect(new Set(answers).size, answers.join("\n")).toBe(1);
        expect(answers[0]).toMatch(/^[0-9a-f-]{36}$/);
      }
    } finally {
      for (const child of children) await child.kill();
    }
  });

  it("who opens a path waits while another process is at it", async () => {
    await using folder = await createFolder();
    const path = folder.file("jennah.db");
    await using holder = startChild("hold", `${path}.lock`, "2000");
    expect(await holder.nextLine()).toBe("held");
    const store = storeAt(path);
    let isOpen = false;
    const opening = store.start().then(() => {
      isOpen = true;
    });
    expect(await holder.nextLine()).toBe("still held");
    expect(isOpen).toBe(false);
    await opening;
    await store.stop();
  });

  it("every insert that was answered outlives a SIGKILL, ten times over", async () => {
    await using folder = await createFolder();
    const path = folder.file("jennah.db");
    const entropy = createSeededEntropy(20);
    const answered: string[] = [];
    for (let round = 0; round < 10; round++) {
      await using child = startChild("insert", path);
      const enough = answered.length + 1 + Math.floor(entropy.uniform() * 400);
      while (answered.length < enough) answered.push(await child.nextLine());
      await child.kill();
      // What was said before the signal and not yet read counts too.
      for (let line = await child.lines.next(); !line.done; line = await child.lines.next()) {
        answered.push(line.value);
      }
    }

    const store = storeAt(path);
    await store.start();
    const refs = answered.map((line) => {
      const [tenantId = "", jobId = ""] = line.split(" ");
      return { tenantId, jobId };
    });
    expect(await store.getJobs(refs)).toHaveLength(refs.length);
    for (const ref of refs.slice(-50)) expect(await store.listEvents(ref)).toHaveLength(1);
    await store.stop();
    const db = new DatabaseSync(path, { timeout: PATIENCE_MS });
    expect(db.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    expect(db.prepare("PRAGMA foreign_key_check").all()).toEqual([]);
    db.close();
  });

  it("a lock that another process holds for 5 s makes calls wait, then succeed, terms first; reads do not wait", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const world = worldOf(store);
    const workerId = world.worker("a");
    await store.beginTerm(world.begin(workerId, "i1"));
    await using holder = startChild("hold", opened.path, "5000");
    expect(await holder.nextLine()).toBe("held");

    const order: string[] = [];
    const note = (name: string) => () => void order.push(name);
    const writes = Array.from({ length: 20 }, () => store.insertJobs([world.newJob()]).then(note("insert")));
    const renewal = store.renewTerm({ workerId, term: 1 }, "i1", { load: 0, draining: false });
    await store.ping().then(note("read"));
    expect(await holder.nextLine()).toBe("still held");
    expect(order).toEqual(["read"]);
    const [renewed] = await Promise.all([renewal, renewal.then(note("renewal")), ...writes]);
    expect(renewed).toMatchObject({ applied: true, row: { beat: 2 } });
    expect(order).toEqual(["read", "renewal", ...writes.map(() => "insert")]);
  });

  it("two processes that write all the time keep a lease's renewals going", async () => {
    await using opened = await openStore();
    const { store } = opened;
    const world = worldOf(store);
    const workerId = world.worker("a");
    await store.beginTerm(world.begin(workerId, "i1"));
    const children = [startChild("insert", opened.path), startChild("insert", opened.path)];
    try {
      await Promise.all(children.map((child) => child.nextLine()));
      for (let beat = 2; beat <= 200; beat++) {
        const { row } = await store.renewTerm({ workerId, term: 1 }, "i1", { load: 0, draining: false });
        expect(row?.beat).toBe(beat);
        await Promise.all(children.map((child) => child.nextLine()));
      }
    } finally {
      for (const child of children) await child.kill();
    }
  });
});
