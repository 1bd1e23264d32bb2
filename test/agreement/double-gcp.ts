import { createManualClock } from "#pkg/clock/index.ts";
import { providerAt, startCloud } from "#test/batch/gcp/harness.ts";
import type { Failure } from "#test/clouds/gcp/jobs.ts";
import type { MethodName, Misbehaviour } from "#test/clouds/gcp/misbehaviour.ts";
import { eventually } from "#test/support/node-process.ts";
import { type CallName, type Fate, QUEUE_MS, type RuledCloud, STOP_MS, type Trouble } from "./ruled-cloud.ts";

/** Which request a call of the port makes first. */
const METHODS: Readonly<Record<CallName, MethodName>> = {
  create: "CreateJob",
  look: "GetJob",
  describe: "ListJobs",
  terminate: "CancelJob",
  remove: "GetJob",
  inventory: "ListJobs",
};

/** What Batch says of a machine that was taken away: spot, or lost. */
const FAILURES: Readonly<Record<Exclude<Fate, "vanishes">, Failure>> = {
  reclaimed: { exitCode: 50001, words: " due to Spot VM preemption" },
  "lost unstarted": { exitCode: 50002, words: " due to no VM has reports" },
};

/** The real adapter before the double, over gRPC; the cloud's time stands still but when it is told to pass. */
export async function openDoubleGcp(): Promise<RuledCloud> {
  const clock = createManualClock();
  const delays = { queueMs: QUEUE_MS / 4, startMs: QUEUE_MS / 4, stopMs: STOP_MS, deleteMs: 100 };
  const cloud = await startCloud({ clock, delays });
  const [provider, peer] = [providerAt(cloud.endpoint), providerAt(cloud.endpoint)];
  await Promise.all([provider.start(), peer.start()]);
  const fates = new Map<string, Fate>();
  let callsBefore = 0;
  let expected: MethodName = "CreateJob";
  const callsOf = (method: MethodName) => cloud.calls.filter((call) => call.method === method).length;

  /** The batch jobs whose moment has come. */
  function fulfil(): void {
    for (const { id, state } of cloud.jobs) {
      const fate = fates.get(id);
      const isDue = fate === "lost unstarted" ? state === "QUEUED" : state === "RUNNING";
      if (fate === undefined || !isDue) continue;
      fates.delete(id);
      if (fate === "vanishes") cloud.vanish(id);
      else cloud.fail(id, FAILURES[fate]);
    }
  }

  return {
    provider,
    peer,
    answer: (call) => call,
    async pass(ms) {
      await clock.advance(ms);
      fulfil();
    },
    befall(call, trouble) {
      expected = METHODS[call];
      callsBefore = callsOf(expected);
      cloud.misbehave({ method: expected, ...misbehaviourOf(trouble) });
    },
    async struck() {
      await eventually(
        () => callsOf(expected),
        (count) => count > callsBefore,
      );
    },
    destine({ batchJobId }, fate) {
      fates.set(batchJobId, fate);
      if (fate === "lost unstarted") cloud.hold(batchJobId);
    },
    lagLists: cloud.lagLists,
    hide: cloud.hide,
    made: cloud.made,
    async close() {
      await Promise.all([provider.stop(), peer.stop()]);
      await cloud.stop();
    },
  };
}

function misbehaviourOf(trouble: Trouble): Omit<Misbehaviour, "method"> {
  switch (trouble.kind) {
    case "throttled": {
      const { retryAfterMs } = trouble;
      const words = "Quota exceeded for quota metric 'Mutation requests per minute'";
      return {
        before: { status: "RESOURCE_EXHAUSTED", words, reason: "RATE_LIMIT_EXCEEDED", retryAfterMs },
      };
    }
    case "failed before":
      return { before: { status: "UNAVAILABLE", words: "The service is currently unavailable." } };
    case "failed after":
      return { after: { status: "INTERNAL", words: "Internal error encountered." } };
    case "request lost":
      return { stall: "drop" };
    case "reply lost":
      return { silent: true };
    case "rejected":
      return { before: { status: "INVALID_ARGUMENT", words: "The request is invalid." } };
  }
}
