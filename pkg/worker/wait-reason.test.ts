import { expect, it } from "vitest";
import { systemClock } from "#pkg/clock/index.ts";
import { jobRow } from "#test/support/rows.ts";
import { withWaitReason } from "./wait-reason.ts";

const worker = {
  workerId: "w",
  term: 1,
  over: false,
  beat: 1,
  emptiedThrough: 0,
  instance: "i",
  url: undefined,
  version: "",
  level: 1,
  targets: ["there"],
  kinds: [],
  capacity: 1,
  load: 0,
  draining: false,
};
const api = (over: boolean) => ({
  providers: new Map(),
  clock: systemClock,
  ownership: { owner: undefined, workers: [{ ...worker, over }], noteLostAnswer: () => undefined },
});
const waiting = jobRow({ owner: undefined, target: "there" });

it("why a job without an owner waits is told from who lives now, whatever its row says", () => {
  expect(withWaitReason(api(true), waiting).waitReason).toBe("NO_WORKER");
  expect(withWaitReason(api(false), { ...waiting, waitReason: "NO_WORKER" }).waitReason).toBe("UNCLAIMED");
  const later = { ...waiting, dueAtMs: systemClock.nowMs() + 60_000 };
  expect(withWaitReason(api(false), later).waitReason).toBe("NOT_BEFORE");
  expect(withWaitReason(api(true), later).waitReason).toBe("NO_WORKER");
});

it("what its owner or its end says of a job stands", () => {
  const owned = jobRow({ target: "nowhere", waitReason: "QUOTA" });
  const ended = jobRow({ target: "nowhere", owner: undefined, status: "CANCELLED" });
  for (const job of [owned, ended]) expect(withWaitReason(api(true), job)).toBe(job);
});
