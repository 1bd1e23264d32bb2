import {
  type BatchJobState,
  type BatchProvider,
  type CreateOutcome,
  type CreateRequest,
  type Permit,
  ThrottledError,
} from "#pkg/batch/index.ts";
import { UnavailableError } from "#pkg/errors/index.ts";
import type { Agenda } from "#test/simulation/kernel/agenda.ts";
import { CallFault, type Chaos } from "#test/simulation/kernel/chaos.ts";
import type { Network } from "#test/simulation/kernel/network.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";
import type { Trace } from "#test/simulation/kernel/trace.ts";
import type { Freezer } from "#test/simulation/world/freeze.ts";
import { stateOf } from "./batch-job.ts";
import type { Cloud, Made } from "./cloud.ts";
import { CloudError } from "./cloud-error.ts";
import { requestOutlivesMs } from "./rules.ts";

export interface CloudClientOptions {
  readonly process: SimProcess;
  readonly cloud: Cloud;
  readonly agenda: Agenda;
  readonly network: Network;
  readonly chaos: Chaos;
  readonly freezer: Freezer;
  readonly trace: Trace;
}

/** What came back of one request. */
type Reply<T> =
  | { readonly kind: "answered"; readonly answer: T }
  | { readonly kind: "throttled"; readonly retryAfterMs: number | undefined }
  /** 5xx, reset, or the caller's own deadline: the request may have done its work. */
  | { readonly kind: "unknown"; readonly cause: unknown };

const LONGEST_RETRY_AFTER_MS = 10_000;
const LATEST_REPLY_MS = 40_000;

/** An adapter of the port, as a careful one for this cloud would be: one request for each call, the check right before it leaves. */
export function createCloudClient(options: CloudClientOptions): BatchProvider {
  const { process, cloud, agenda, network, chaos, freezer, trace } = options;
  const { target, rules } = cloud;
  const here = process.machine.name;

  /** One request over the wire. Resolves always, also where nothing comes back: then with the signal. */
  function ask<T>(what: string, signal: AbortSignal, serve: () => T): Promise<Reply<T>> {
    const where = `${process.name} ${target} ${what}`;
    return new Promise((resolve) => {
      const giveUp = () => resolve({ kind: "unknown", cause: signal.reason });
      if (signal.aborted) return giveUp();
      signal.addEventListener("abort", giveUp, { once: true });
      const reply = (delayMs: number, answer: Reply<T>) =>
        network.send(target, here, delayMs, () =>
          process.deliver(() => {
            signal.removeEventListener("abort", giveUp);
            resolve(answer);
          }),
        );
      const failed = (words: string): Reply<T> => ({ kind: "unknown", cause: new CloudError(words) });

      const send = () => {
        if (chaos.strikes(CallFault.CloudRequestLost, where)) return;
        const late = chaos.strikes(CallFault.CloudRequestLate, where);
        network.ask(here, target, (late?.force ?? 0) * rules.longestWayMs, arrive);
      };
      const arrive = () => {
        const throttle = chaos.strikes(CallFault.CloudThrottles, where);
        if (throttle !== undefined) {
          const retryAfterMs = throttle.force < 0.5 ? undefined : throttle.force * LONGEST_RETRY_AFTER_MS;
          return reply(0, { kind: "throttled", retryAfterMs });
        }
        if (chaos.strikes(CallFault.CloudFailsBefore, where)) return reply(0, failed("503"));
        const answer = serve();
        if (chaos.strikes(CallFault.CloudFailsAfter, where)) return reply(0, failed("500"));
        if (chaos.strikes(CallFault.CloudReplyLost, where)) return;
        const late = chaos.strikes(CallFault.CloudReplyLate, where);
        reply((late?.force ?? 0) * LATEST_REPLY_MS, { kind: "answered", answer });
      };
      trace.note(process.name, () => `→ ${target} ${what}`, what.startsWith("create"));
      // A request that stands ready while the process is frozen leaves when it wakes only if its connection still lives.
      freezer.send(process, CallFault.FreezeAtCloud, rules.signatureLifeMs ?? rules.longestWayMs / 2, send);
    });
  }

  /** One read: what is not an answer is an error. */
  async function read<T>(what: string, signal: AbortSignal, serve: () => T): Promise<T> {
    const reply = await ask(what, signal, serve);
    if (reply.kind === "answered") return reply.answer;
    if (reply.kind === "throttled") throw throttled(reply.retryAfterMs);
    throw new UnavailableError("PROVIDER_UNREACHABLE", "the provider did not answer", { cause: reply.cause });
  }

  async function create(request: CreateRequest, permit: Permit): Promise<CreateOutcome> {
    permit.assertTrusted();
    const signedAtMs = agenda.nowMs;
    const what = `create ${request.batchJobId}`;
    const reply = await ask(what, permit.signal, () => cloud.create(request, signedAtMs));
    if (reply.kind === "unknown") return reply;
    if (reply.kind === "throttled") {
      return {
        kind: "refused",
        reason: "QUOTA",
        message: "429",
        retryAfterMs: reply.retryAfterMs,
        holdsUp: "calls",
      };
    }
    return outcomeOf(request, reply.answer);
  }

  function outcomeOf(request: CreateRequest, made: Made): CreateOutcome {
    if (made.kind === "expired")
      return { kind: "unknown", cause: new CloudError("the signature has expired") };
    if (made.kind === "rejected") return { kind: "rejected", reason: made.reason, message: "400" };
    // Whose it is can only be read of what can be read.
    if (made.kind === "exists" && made.job.missingUntilMs > agenda.nowMs) {
      return {
        kind: "unknown",
        cause: new CloudError("the name is taken, but the batch job cannot be found"),
      };
    }
    if (made.job.deploymentId !== request.deploymentId || made.job.tenantId !== request.tenantId) {
      return { kind: "rejected", reason: "NAME_TAKEN", message: "409" };
    }
    return { kind: "accepted", adopted: made.kind === "exists", state: stateOf(made.job, agenda.nowMs) };
  }

  return {
    target,
    capabilities: {
      createIsIdempotent: rules.namesAreUnique,
      maxDescribe: 5,
      maxConcurrentCreates: 4,
      maxCallsPerSecond: 100,
      requestOutlivesMs: requestOutlivesMs(rules),
    },
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    validate: () => [],
    create,
    async look({ batchJobId, deploymentId, tenantId }, signal) {
      const [found] = await read("look", signal, () => cloud.list(batchJobId));
      if (found === undefined) return { kind: "absent" };
      if (found.deploymentId !== deploymentId || found.tenantId !== tenantId)
        return { kind: "foreign", message: "another's" };
      return { kind: "found", state: stateOf(found, agenda.nowMs) };
    },
    async describe(names, signal) {
      return read("describe", signal, () => {
        const unreadable = cloud.unreadable(names);
        const states = new Map<string, BatchJobState | undefined>();
        // Neither missing nor over.
        for (const name of unreadable) states.set(name, undefined);
        for (const job of cloud.describe(names.filter((name) => !unreadable.has(name))))
          states.set(job.name, stateOf(job, agenda.nowMs));
        return states;
      });
    },
    async terminate(name, signal) {
      await read(`terminate ${name}`, signal, () => cloud.terminate(name));
    },
    async remove(name, permit) {
      permit.assertTrusted();
      const isGone = await read(`remove ${name}`, permit.signal, () => cloud.remove(name));
      if (!isGone) throw new UnavailableError("NOT_ENDED", "the batch job has not ended");
    },
    async *inventory(deploymentId, signal) {
      yield await read("inventory", signal, () => cloud.inventory(deploymentId));
    },
  };
}

function throttled(retryAfterMs: number | undefined): ThrottledError {
  return new ThrottledError("PROVIDER_THROTTLED", "the provider asks for fewer calls", {
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  });
}
