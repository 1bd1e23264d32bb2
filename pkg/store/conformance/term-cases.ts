import { expect } from "vitest";
import type { Cases } from "./world.ts";

const NOW = { load: 3, draining: false };

export const termCases: Cases = {
  "the first term of a worker is 1, at beat 1, as described": async (world) => {
    const workerId = world.worker("a");
    const begin = { ...world.begin(workerId, "i1"), url: "http://a:1" };
    const { expected: _, ...described } = begin;
    const row = { ...described, term: 1, over: false, beat: 1, emptiedThrough: 0, load: 0, draining: false };
    expect(await world.store.beginTerm(begin)).toEqual({ applied: true, row });
    expect((await world.peer.readWorkers()).find((each) => each.workerId === workerId)).toEqual(row);
  },

  "of many who begin the first term at once, one does": async (world) => {
    const workerId = world.worker("a");
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        (index % 2 === 0 ? world.store : world.peer).beginTerm(world.begin(workerId, `i${index}`)),
      ),
    );
    const winners = results.filter((result) => result.applied);
    expect(winners).toHaveLength(1);
    for (const { row } of results) expect(row?.instance).toBe(winners[0]?.row?.instance);
  },

  "a begin on what was read ends that term and begins the next, over or not": async (world) => {
    const workerId = world.worker("a");
    const { row: first } = await world.store.beginTerm(world.begin(workerId, "i1"));
    await world.store.renewTerm({ workerId, term: 1 }, "i1", { load: 5, draining: true });
    const { applied, row: second } = await world.peer.beginTerm(world.begin(workerId, "i2", first));
    expect(applied).toBe(true);
    expect(second).toMatchObject({ term: 2, over: false, beat: 1, instance: "i2", load: 0, draining: false });
    expect(await world.store.expireTerm({ workerId, term: 2 }, 1)).toBe(true);
    const third = await world.store.beginTerm(world.begin(workerId, "i3", await world.row(workerId)));
    expect(third).toMatchObject({ applied: true, row: { term: 3, over: false } });
  },

  "a begin that arrives late changes nothing": async (world) => {
    const workerId = world.worker("a");
    const { row: first } = await world.store.beginTerm(world.begin(workerId, "i1"));
    const { row: second } = await world.store.beginTerm(world.begin(workerId, "i2", first));
    const stale = [
      world.begin(workerId, "late"),
      world.begin(workerId, "late", first),
      { ...world.begin(workerId, "late"), expected: { term: 2, instance: "i1", over: false } },
      { ...world.begin(workerId, "late"), expected: { term: 2, instance: "i2", over: true } },
      { ...world.begin(workerId, "late"), expected: { term: 1, instance: "i2", over: false } },
      { ...world.begin(workerId, "late"), expected: { term: 3, instance: "i2", over: false } },
    ];
    for (const begin of stale)
      expect(await world.peer.beginTerm(begin)).toEqual({ applied: false, row: second });
    expect(await world.row(workerId)).toEqual(second);
  },

  "a begin that expects a row where there is none changes nothing": async (world) => {
    const workerId = world.worker("a");
    const begin = { ...world.begin(workerId, "i1"), expected: { term: 1, instance: "i0", over: true } };
    expect(await world.store.beginTerm(begin)).toEqual({ applied: false, row: undefined });
    expect(await world.row(workerId)).toBeUndefined();
  },

  "a repeated begin of the instance that holds the term changes nothing, and answers it": async (world) => {
    const workerId = world.worker("a");
    const { row } = await world.store.beginTerm(world.begin(workerId, "i1"));
    expect(await world.store.beginTerm(world.begin(workerId, "i1"))).toEqual({ applied: false, row });
    expect(await world.store.beginTerm(world.begin(workerId, "i1", row))).toEqual({ applied: false, row });
  },

  "what was emptied stays so across terms": async (world) => {
    const workerId = world.worker("a");
    await world.store.beginTerm(world.begin(workerId, "i1"));
    await world.store.endTerm({ workerId, term: 1 }, "i1");
    await world.store.markEmptied(workerId, 1);
    await world.store.beginTerm(world.begin(workerId, "i2", await world.row(workerId)));
    expect((await world.row(workerId))?.emptiedThrough).toBe(1);
  },

  "a renewal raises the beat of its own open term, and tells load and leaving": async (world) => {
    const workerId = world.worker("a");
    const { row } = await world.store.beginTerm(world.begin(workerId, "i1"));
    const renewed = { ...row, beat: 2, load: 4, draining: true };
    const result = await world.store.renewTerm({ workerId, term: 1 }, "i1", { load: 4, draining: true });
    expect(result).toEqual({ applied: true, row: renewed });
    expect(await world.row(workerId)).toEqual(renewed);
  },

  "a lapsed, a foreign and an unknown term cannot be renewed": async (world) => {
    const workerId = world.worker("a");
    await world.store.beginTerm(world.begin(workerId, "i1"));
    for (const [term, instance] of [
      [1, "i2"],
      [2, "i1"],
    ] as const) {
      expect((await world.store.renewTerm({ workerId, term }, instance, NOW)).applied).toBe(false);
    }
    await world.peer.expireTerm({ workerId, term: 1 }, 1);
    const late = await world.store.renewTerm({ workerId, term: 1 }, "i1", NOW);
    expect(late).toMatchObject({ applied: false, row: { over: true, beat: 1 } });
    const nobody = { workerId: world.worker("nobody"), term: 1 };
    expect(await world.store.renewTerm(nobody, "i1", NOW)).toEqual({ applied: false, row: undefined });
  },

  "a term is expired only at the beat that was watched": async (world) => {
    const workerId = world.worker("a");
    await world.store.beginTerm(world.begin(workerId, "i1"));
    await world.store.renewTerm({ workerId, term: 1 }, "i1", NOW);
    expect(await world.peer.expireTerm({ workerId, term: 1 }, 1)).toBe(false);
    expect(await world.peer.expireTerm({ workerId, term: 2 }, 2)).toBe(false);
    expect((await world.row(workerId))?.over).toBe(false);
    expect(await world.peer.expireTerm({ workerId, term: 1 }, 2)).toBe(true);
    expect(await world.peer.expireTerm({ workerId, term: 1 }, 2)).toBe(false);
    expect(await world.row(workerId)).toMatchObject({ over: true, term: 1 });
  },

  "of a renewal and an expiry at once exactly one takes effect": async (world) => {
    for (let round = 0; round < 20; round++) {
      const workerId = world.worker(`race${round}`);
      await world.store.beginTerm(world.begin(workerId, "i1"));
      const owner = { workerId, term: 1 };
      const [renewal, expired] = await Promise.all([
        world.store.renewTerm(owner, "i1", NOW),
        world.peer.expireTerm(owner, 1),
      ]);
      expect([renewal.applied, expired].filter(Boolean)).toHaveLength(1);
      expect(await world.row(workerId)).toMatchObject({ over: expired, beat: expired ? 1 : 2 });
    }
  },

  "an end closes its own term, and a repeat or a late one changes nothing": async (world) => {
    const workerId = world.worker("a");
    await world.store.beginTerm(world.begin(workerId, "i1"));
    await world.peer.endTerm({ workerId, term: 1 }, "somebody");
    expect((await world.row(workerId))?.over).toBe(false);
    await world.store.endTerm({ workerId, term: 1 }, "i1");
    await world.store.endTerm({ workerId, term: 1 }, "i1");
    expect((await world.row(workerId))?.over).toBe(true);
    await world.store.beginTerm(world.begin(workerId, "i2", await world.row(workerId)));
    await world.store.endTerm({ workerId, term: 1 }, "i1");
    expect(await world.row(workerId)).toMatchObject({ term: 2, over: false });
  },

  "an end of an earlier term by the instance that holds the present one changes nothing": async (world) => {
    const workerId = world.worker("a");
    const { row: first } = await world.store.beginTerm(world.begin(workerId, "i1"));
    expect(await world.peer.expireTerm({ workerId, term: 1 }, first?.beat ?? 0)).toBe(true);
    const { row } = await world.store.beginTerm(world.begin(workerId, "i1", await world.row(workerId)));
    expect(row).toMatchObject({ term: 2, over: false });
    await world.store.endTerm({ workerId, term: 1 }, "i1");
    await world.store.endTerm({ workerId, term: 3 }, "i1");
    expect(await world.row(workerId)).toEqual(row);
  },

  "a worker without a row cannot be expired, ended or emptied, and gets no row by it": async (world) => {
    const workerId = world.worker("nobody");
    expect(await world.store.expireTerm({ workerId, term: 1 }, 1)).toBe(false);
    await world.store.endTerm({ workerId, term: 1 }, "i1");
    await world.store.markEmptied(workerId, 1);
    expect(await world.peer.readWorkers()).not.toContainEqual(expect.objectContaining({ workerId }));
  },

  "emptied is only raised, and never past what is over": async (world) => {
    const workerId = world.worker("a");
    const emptied = async (throughTerm: number) => {
      await world.peer.markEmptied(workerId, throughTerm);
      return (await world.row(workerId))?.emptiedThrough;
    };
    for (const instance of ["i1", "i2", "i3"]) {
      await world.store.beginTerm(world.begin(workerId, instance, await world.row(workerId)));
    }
    expect(await emptied(3)).toBe(0);
    expect(await emptied(2)).toBe(2);
    expect(await emptied(1)).toBe(2);
    await world.store.endTerm({ workerId, term: 3 }, "i3");
    expect(await emptied(4)).toBe(2);
    expect(await emptied(3)).toBe(3);
  },
};
