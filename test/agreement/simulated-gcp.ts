import { createCloud } from "#test/simulation/cloud/cloud.ts";
import { createCloudClient } from "#test/simulation/cloud/provider.ts";
import { GCP } from "#test/simulation/cloud/rules.ts";
import { createAgenda } from "#test/simulation/kernel/agenda.ts";
import { CallFault, type Chaos } from "#test/simulation/kernel/chaos.ts";
import { createDice } from "#test/simulation/kernel/dice.ts";
import { createMachine } from "#test/simulation/kernel/machine.ts";
import { createNetwork } from "#test/simulation/kernel/network.ts";
import { createProcess } from "#test/simulation/kernel/process.ts";
import { createTrace } from "#test/simulation/kernel/trace.ts";
import { createFreezer } from "#test/simulation/world/freeze.ts";
import type { Fate, RuledCloud, Trouble } from "./ruled-cloud.ts";

const TARGET = "gcp/test-project/us-central1";
const SEED = 1;
/** Longer than any answer is on its way here. */
const ANSWER_MS = 60_000;
/** What these faults' force of 1 stands for in the simulation. */
const LONGEST_RETRY_AFTER_MS = 10_000;
const LONGEST_MISS_MS = 100_000;

const FAULTS: Readonly<Record<Trouble["kind"], CallFault>> = {
  throttled: CallFault.CloudThrottles,
  "failed before": CallFault.CloudFailsBefore,
  "failed after": CallFault.CloudFailsAfter,
  "request lost": CallFault.CloudRequestLost,
  "reply lost": CallFault.CloudReplyLost,
  rejected: CallFault.CloudRejects,
};
const FATES: Readonly<Record<Fate, CallFault>> = {
  reclaimed: CallFault.CloudPreempts,
  "lost unstarted": CallFault.CloudPreemptsUnstarted,
  vanishes: CallFault.CloudVanishes,
};

/** The simulation's cloud under its rules of GCP, and its client, in simulated time; nothing goes wrong but what is told. */
export function openSimulatedGcp(): RuledCloud {
  const agenda = createAgenda();
  const dice = createDice(SEED);
  const trace = createTrace(agenda, false);
  const chaos = createToldChaos();
  const network = createNetwork(agenda, dice);
  const freezer = createFreezer({ agenda, chaos, ttlMs: 30_000 });
  const cloud = createCloud({ target: TARGET, rules: GCP, agenda, dice, chaos, onMade: () => undefined });
  const [provider, peer] = ["machine-1", "machine-2"].map((name) => {
    const process = createProcess(agenda, createMachine(agenda, name, 1, 0), name, SEED);
    return createCloudClient({ process, cloud, agenda, network, chaos, freezer, trace });
  });
  if (provider === undefined || peer === undefined) throw new Error("two handles were made");
  const runTo = (atMs: number, isOver: () => boolean) => agenda.run(atMs, isOver);

  async function pass(ms: number): Promise<void> {
    const endMs = agenda.nowMs + ms;
    let isOver = false;
    agenda.at(endMs, () => {
      isOver = true;
    });
    await runTo(endMs, () => isOver);
  }

  return {
    provider,
    peer,
    pass,
    async answer(call) {
      let isSettled = false;
      const settle = () => {
        isSettled = true;
      };
      call.then(settle, settle);
      await runTo(agenda.nowMs + ANSWER_MS, () => isSettled);
      return await call;
    },
    befall(call, trouble) {
      const force = trouble.kind === "throttled" ? trouble.retryAfterMs / LONGEST_RETRY_AFTER_MS : 0;
      chaos.tell(FAULTS[trouble.kind], trouble.kind === "rejected" ? "" : ` ${call}`, force);
    },
    // Far longer than the way there takes.
    struck: () => pass(100),
    // A force of 0.5: half-way through its run.
    destine: (_, fate) => chaos.tell(FATES[fate], "", 0.5),
    lagLists: (ms) => chaos.tellAlways(CallFault.CloudListLags, ms / GCP.listLagMs),
    hide: (_, ms) => chaos.tell(CallFault.CloudMisses, "", ms / LONGEST_MISS_MS),
    made: (batchJobId) => cloud.jobs.filter(({ name }) => name === batchJobId).length,
    close: async () => undefined,
  };
}

/** Faults that strike when they were told to, instead of by dice. */
interface ToldChaos extends Chaos {
  /** The next call at a place whose name holds this. */
  tell(fault: CallFault, place: string, force: number): void;
  tellAlways(fault: CallFault, force: number): void;
}

function createToldChaos(): ToldChaos {
  const told: { readonly fault: CallFault; readonly place: string; readonly force: number }[] = [];
  const always = new Map<CallFault, number>();
  const struck: string[] = [];
  return {
    struck,
    counts: new Map(),
    planned: () => undefined,
    tell: (fault, place, force) => void told.push({ fault, place, force }),
    tellAlways: (fault, force) => void always.set(fault, force),
    strikes(fault, where) {
      const force = always.get(fault);
      if (force !== undefined) return { id: fault, force };
      const index = told.findIndex((each) => each.fault === fault && where.includes(each.place));
      if (index < 0) return undefined;
      const [strike] = told.splice(index, 1);
      if (strike === undefined) return undefined;
      struck.push(strike.fault);
      return { id: strike.fault, force: strike.force };
    },
  };
}
