import { afterEach, expect, it } from "vitest";
import { type OwnerUnderTest, startOwner } from "./owner.ts";

let owner: OwnerUnderTest;
afterEach(() => owner.stop());

it("a job under the id of another tenant's is told nothing of that one, and does it no harm", async () => {
  owner = await startOwner();
  const never = new AbortController().signal;
  const first = await owner.insert("sleep 1");
  expect((await owner.dispatcher.begin(first, never)).status).toBe("RUNNING");
  const second = await owner.insert("true", { jobId: first.jobId, tenantId: "another" });
  expect(await owner.dispatcher.begin(second, never)).toEqual(second);
  expect(await owner.until(first.jobId, (job) => job?.status === "COMPLETED")).toMatchObject({ attempt: 1 });
});
