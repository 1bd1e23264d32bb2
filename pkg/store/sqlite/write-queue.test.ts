import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createSeededEntropy, systemClock } from "#pkg/clock/index.ts";
import { createLogger } from "#pkg/log/index.ts";
import { createWorld, type World } from "#pkg/store/conformance/index.ts";
import { STORE_REFUSED } from "#pkg/store/job-store.ts";
import { type Database, openDatabase, sql } from "./database.ts";
import { openMigrated } from "./migrate.ts";
import { reads } from "./operations.ts";
import { MAX_WAIT_MS } from "./pause.ts";
import { createSqliteStore } from "./store.ts";
import { createTenantCache, type TenantCache } from "./tenant-cache.ts";
import { createWriteQueue, type Reply, type Request } from "./write-queue.ts";

type Asked = Request extends infer R ? (R extends { id: number } ? Omit<R, "id"> : never) : never;

describe("the write queue", () => {
  let folder: string;
  let path: string;
  let db: Database;
  let tenants: TenantCache;
  let world: World;
  let answered: Reply[][];
  let waiting: Request[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "jennah-queue-"));
    path = join(folder, "jennah.db");
    db = openMigrated(path, "d");
    tenants = createTenantCache();
    answered = [];
    waiting = [];
    const store = createSqliteStore({
      path,
      clock: systemClock,
      entropy: createSeededEntropy(1),
      log: createLogger({ level: "silent", format: "json" }),
    });
    const stores = { store, peer: store, close: async () => {} };
    world = createWorld(stores, async () => stores);
  });
  afterEach(async () => {
    db.close();
    await rm(folder, { recursive: true });
  });

  /** Lets the queue serve all of these; `answered` has what it replied, a list for each commit. */
  function serve(asked: readonly Asked[], maxWaitMs = MAX_WAIT_MS): Reply[] {
    waiting = asked.map((request, id) => ({ ...request, id }) as Request);
    const queue = createWriteQueue(
      { db, tenants },
      () => waiting.shift(),
      (replies) => answered.push([...replies]),
      maxWaitMs,
    );
    queue.serve();
    return answered.flat();
  }

  const insert = (level = 1): Asked => ({ name: "insertJobs", args: [[world.newJob({ level })]] });
  const begin = (name: string): Asked => ({ name: "beginTerm", args: [world.begin(name, "i1")] });

  it("writes that wait together share a commit, terms go first and alone", () => {
    serve([insert(), insert(), begin("a"), insert(), begin("b")]);
    expect(answered.map((replies) => replies.map((reply) => reply.id))).toEqual([
      [2, 4],
      [0, 1, 3],
    ]);
  });

  it("transactions are bounded", () => {
    const many = (count: number): Asked => ({
      name: "insertJobs",
      args: [Array.from({ length: count }, () => world.newJob())],
    });
    serve([many(200), many(50), many(10), many(300), insert()]);
    expect(answered.map((replies) => replies.map((reply) => reply.id))).toEqual([[0, 1], [2], [3], [4]]);
  });

  it("one that is refused takes nothing with it", () => {
    const replies = serve([insert(), insert(1.5), insert()]);
    expect(replies.map((reply) => reply.ok)).toEqual([true, false, true]);
    expect(db.all(sql`SELECT job_id FROM jobs`)).toHaveLength(2);
  });

  it("a tenant whose first job was refused gets its row with the next", () => {
    serve([insert(1.5), insert()]);
    serve([insert()]);
    expect(db.all(sql`SELECT tenant_id FROM tenants`)).toEqual([{ tenant_id: world.tenant }]);
  });

  it("a full disk refuses the whole transaction, saying so, and once there is room all is well", () => {
    const pages = db.get(sql`PRAGMA page_count`)?.page_count;
    db.exec(`PRAGMA max_page_count = ${Number(pages) + 4}`);
    const big: Asked = { name: "insertJobs", args: [Array.from({ length: 200 }, () => world.newJob())] };
    const replies = serve([insert(), big]);
    expect(replies.map((reply) => !reply.ok && reply.fault)).toEqual([
      expect.objectContaining({ kind: "unavailable", message: expect.stringContaining("disk is full") }),
      expect.objectContaining({ kind: "unavailable", message: expect.stringContaining("disk is full") }),
    ]);
    expect(db.all(sql`SELECT 1 FROM jobs UNION ALL SELECT 1 FROM tenants`)).toEqual([]);
    db.exec("PRAGMA max_page_count = 1000000");
    answered = [];
    expect(serve([big]).map((reply) => reply.ok)).toEqual([true]);
    expect(db.all(sql`SELECT tenant_id FROM tenants`)).toHaveLength(1);
  });

  it.each([
    ["removed", () => rm(path)],
    ["replaced by another", () => rm(path).then(() => writeFile(path, ""))],
    ["moved away", () => rename(path, `${path}.away`)],
  ])("a file that was %s is written no more, and is told as such", async (_, displace) => {
    await displace();
    const [reply] = serve([insert()]);
    expect(reply).toMatchObject({ ok: false, fault: { kind: "unavailable", reason: STORE_REFUSED } });
    expect(() => reads.ping(db)).toThrow("not the one that was opened");
    expect(db.all(sql`SELECT 1 FROM jobs`)).toEqual([]);
  });

  it("a lock that is held beyond all patience is told as such, and reads are answered meanwhile", () => {
    const holder = openDatabase(path, { readOnly: false });
    holder.exec("BEGIN IMMEDIATE");
    const replies = serve([insert(), begin("a"), { name: "ping", args: [] }], 50);
    expect(replies.map((reply) => [reply.id, reply.ok])).toEqual([
      [2, true],
      [1, false],
      [0, false],
    ]);
    expect(replies[1]).toMatchObject({
      fault: { kind: "unavailable", message: /locked by another process/ },
    });
    holder.close();
    answered = [];
    expect(serve([insert()])).toMatchObject([{ ok: true }]);
  });
});
