import { expect, it } from "vitest";
import { unlessAborted } from "./unless-aborted.ts";

const reason = new Error("no longer");

it("settles as the work does", async () => {
  const { signal } = new AbortController();
  await expect(unlessAborted(Promise.resolve(1), signal)).resolves.toBe(1);
  const fault = new Error("fault");
  await expect(unlessAborted(Promise.reject(fault), signal)).rejects.toBe(fault);
});

it("rejects with the signal's reason when that aborts first, or has aborted; a later failure is heard by nobody", async () => {
  const work = Promise.withResolvers<void>();
  const controller = new AbortController();
  const waiting = expect(unlessAborted(work.promise, controller.signal)).rejects.toBe(reason);
  controller.abort(reason);
  await waiting;
  await expect(unlessAborted(work.promise, controller.signal)).rejects.toBe(reason);
  // Were it unhandled, the run would fail.
  work.reject(new Error("late"));
});
