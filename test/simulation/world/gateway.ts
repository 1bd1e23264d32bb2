import { CallerError, UnavailableError } from "#pkg/errors/index.ts";
import { mayRepeat } from "#pkg/gateway/repeat.ts";
import { createJobId } from "#pkg/job/index.ts";
import { createRing, type Ring } from "#pkg/ring/index.ts";
import { JOB_ID_HEADER } from "#pkg/rpc/index.ts";
import { CallFault } from "#test/simulation/kernel/chaos.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";
import type { Kit } from "./kit.ts";
import type { Slot } from "./slot.ts";
import type { RpcCall, SimWorker } from "./worker.ts";

/** What a caller gets. */
export type RpcAnswer =
  | { readonly kind: "answered"; readonly response: unknown }
  /** An error that is the caller's own to deal with. */
  | { readonly kind: "refused"; readonly error: CallerError }
  /** It may or may not have been done. */
  | { readonly kind: "failed"; readonly why: string };

/** A gateway's process. It routes by the real ring and repeats by the real table; the wire between is the simulation's. */
export interface SimGateway {
  readonly process: SimProcess;
  /** @param gone aborts when the caller hangs up: the worker learns of it, and nothing is answered any more. */
  call(call: RpcCall, gone: AbortSignal, answer: (answer: RpcAnswer) => void): void;
  /** Kills the process. Its connections break, so workers learn that nobody waits for their answers. */
  crash(): void;
}

/** What one visit of a worker came to. */
type Visited = RpcAnswer & { readonly wasRefused?: boolean };

const UPSTREAM_TIMEOUT_MS = 60_000;
const LATEST_MS = 20_000;

export function createSimGateway(kit: Kit, process: SimProcess, slots: readonly Slot[]): SimGateway {
  const { network, chaos, agenda } = kit;
  const ring = ringOf(slots.map((slot) => slot.setting.name));
  const here = process.machine.name;
  /** Ends each visit under way without an answer. */
  const underWay = new Set<() => void>();

  /** One try at one worker. */
  function visit(slot: Slot, call: RpcCall, gone: AbortSignal, done: (visited: Visited) => void): void {
    if (gone.aborted) return;
    const there = slot.worker?.process.machine.name ?? slot.setting.machine;
    const where = `${process.name} ${slot.setting.name}`;
    let isOver = false;
    let serving: SimProcess | undefined;
    /** As the worker sees the caller. */
    const caller = new AbortController();
    const close = () => {
      isOver = true;
      timeout.cancel();
      underWay.delete(hangUp);
      gone.removeEventListener("abort", onGone);
    };
    const hangUp = () => {
      if (isOver) return;
      close();
      const abort = () => caller.abort();
      network.send(here, there, 0, () => (serving === undefined ? abort() : serving.deliver(abort)));
    };
    const onGone = () => process.deliver(hangUp);
    const end = (visited: Visited) =>
      process.deliver(() => {
        if (isOver) return;
        close();
        done(visited);
      });
    const timeout = process.clock.timer(UPSTREAM_TIMEOUT_MS, () => {
      hangUp();
      done({ kind: "failed", why: "deadline" });
    });
    underWay.add(hangUp);
    gone.addEventListener("abort", onGone);
    const reply = (delayMs: number, visited: Visited) =>
      network.send(there, here, delayMs, () => end(visited));

    if (chaos.strikes(CallFault.RpcLost, where)) {
      reply(0, { kind: "failed", why: "reset" });
      return;
    }
    const late = chaos.strikes(CallFault.RpcLate, where);
    network.send(here, there, (late?.force ?? 0) * LATEST_MS, () => {
      const { worker } = slot;
      if (worker === undefined || !worker.isReady) {
        return reply(0, { kind: "failed", why: "refused", wasRefused: true });
      }
      watchDeath(
        worker,
        () => reply(0, { kind: "failed", why: "worker died" }),
        () => isOver,
      );
      serving = worker.process;
      serving.deliver(() => {
        answerOf(worker, call, caller.signal).then((visited) => {
          if (chaos.strikes(CallFault.RpcReplyLost, where)) reply(0, { kind: "failed", why: "reset" });
          else reply(0, visited);
        }, kit.onBroken);
      });
    });
  }

  /** A connection breaks when the process at its other end dies; the peer learns of it a moment later. */
  function watchDeath(worker: SimWorker, onDeath: () => void, isOver: () => boolean): void {
    agenda.at(agenda.nowMs + 1_000, () => {
      if (isOver()) return;
      if (worker.process.isAlive) watchDeath(worker, onDeath, isOver);
      else onDeath();
    });
  }

  return {
    process,
    crash() {
      process.kill();
      for (const hangUp of underWay) hangUp();
    },
    call(call, gone, answer) {
      const isSubmit = call.rpc === "submitJob" || call.rpc === "retryJob";
      const headers = isSubmit
        ? { ...call.headers, [JOB_ID_HEADER]: createJobId(process.clock, process.entropy) }
        : call.headers;
      const order = ring.workersOf(call.tenant);
      const ready = order.flatMap((name) => slots.find((slot) => slot.setting.name === name) ?? []);
      const visitNext = (visits: number) => {
        const slot = ready[visits - 1];
        if (slot === undefined) return answer({ kind: "failed", why: "no worker" });
        visit(slot, { ...call, headers } as RpcCall, gone, (visited) => {
          const failed = visited.kind === "failed";
          const may = mayRepeat({
            wasRefused: visited.wasRefused ?? false,
            isRepeatable: true,
            isBodyKept: true,
            hasReplyBegun: !failed,
            visits,
          });
          if (failed && may) visitNext(visits + 1);
          else answer(visited);
        });
      };
      visitNext(1);
    },
  };
}

/** A ring is a pure function of its names, and costs more to make than most worlds' other parts. */
const rings = new Map<string, Ring>();
function ringOf(names: readonly string[]): Ring {
  const key = names.join();
  const ring = rings.get(key) ?? createRing(names);
  rings.set(key, ring);
  return ring;
}

async function answerOf(worker: SimWorker, call: RpcCall, signal: AbortSignal): Promise<Visited> {
  try {
    return { kind: "answered", response: await worker.call(call, signal) };
  } catch (error) {
    if (error instanceof CallerError) return { kind: "refused", error };
    if (error instanceof UnavailableError) return { kind: "failed", why: error.reason };
    throw error;
  }
}
