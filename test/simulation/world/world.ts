import { createSeededEntropy } from "#pkg/clock/index.ts";
import { createKeyring } from "#pkg/job/index.ts";
import { type Cloud, createCloud } from "#test/simulation/cloud/cloud.ts";
import { createAgenda } from "#test/simulation/kernel/agenda.ts";
import { type Allows, createChaos } from "#test/simulation/kernel/chaos.ts";
import { createDice } from "#test/simulation/kernel/dice.ts";
import { createMachine } from "#test/simulation/kernel/machine.ts";
import { createNetwork } from "#test/simulation/kernel/network.ts";
import { createProcess, type SimProcess } from "#test/simulation/kernel/process.ts";
import { createTrace, type Trace } from "#test/simulation/kernel/trace.ts";
import { Promised, type Violation } from "#test/simulation/promises/promise.ts";
import { createWatch } from "#test/simulation/promises/watch.ts";
import { createModelCore } from "#test/simulation/store/model-core.ts";
import { createSqliteCore } from "#test/simulation/store/sqlite-core.ts";
import { planAccidents } from "./accidents.ts";
import { startCaller } from "./caller.ts";
import { createFreezer } from "./freeze.ts";
import { createSimGateway, type SimGateway } from "./gateway.ts";
import type { Kit } from "./kit.ts";
import { ClockFault, type Setting, type WorkerSetting } from "./setting.ts";
import { createSlot, type SlotOptions } from "./slot.ts";
import { createStoreServer } from "./store-server.ts";
import { tellOperation } from "./tell.ts";
import type { SimWorker } from "./worker.ts";

export interface WorldOptions {
  readonly setting: Setting;
  readonly allows: Allows;
  readonly keepsTrace: boolean;
}

/** What became of one world. */
export interface WorldEnd {
  readonly violation: Violation | undefined;
  /** Everything that befell it, by id: faults, accidents, jobs and what callers did. */
  readonly struck: readonly string[];
  /** The same, counted by kind. */
  readonly counts: ReadonlyMap<string, number>;
  /** How often each promise was put to the test. */
  readonly tests: ReadonlyMap<string, number>;
  /** What jobs' histories tell, counted by type. */
  readonly events: ReadonlyMap<string, number>;
  readonly trace: Trace;
  readonly simulatedMs: number;
  readonly acts: number;
}

const DEPLOYMENT_ID = "5eed0000-0000-4000-8000-000000000000";

/**
 * How long after the last fault everything must have come to rest: twice the longest settling, the longest backoff, an
 * inventory, and what a lost batch job is waited for.
 */
const LONGEST_REST_MS = 1_500_000;

/** One seed in so many goes on for longer than the latest request, though nothing is left to do. */
const LINGERS_EVERY = 4;
const LINGER_MS = 65_000;

/** Lets one world run from its first process to its rest, or to the first broken promise. */
export async function runWorld({ setting, allows, keepsTrace }: WorldOptions): Promise<WorldEnd> {
  const agenda = createAgenda();
  const dice = createDice(setting.seed);
  const trace = createTrace(agenda, keepsTrace);
  const chaos = createChaos({
    agenda,
    dice,
    trace,
    odds: setting.odds,
    endMs: setting.faultsEndMs,
    allows,
  });
  const machines = new Map(
    setting.machines.map(({ name, rate, offsetMs }) => {
      const isOffRate = rate !== 1 && allows(clockIds(name).rate);
      const isOff = offsetMs !== 0 && allows(clockIds(name).offset);
      return [name, createMachine(agenda, name, isOffRate ? rate : 1, isOff ? offsetMs : 0)];
    }),
  );
  const inUse = new Set<string>();
  const processes: SimProcess[] = [];
  const suspended = new Set<string>();
  const workers: SimWorker[] = [];
  const clouds = new Map<string, Cloud>();
  let busy = 0;

  const watch = createWatch({
    nowMs: () => agenda.nowMs,
    ttlMs: setting.ttlMs,
    claimIntervalMs: setting.claimIntervalMs,
    core: () => server.core,
    clouds: () => clouds.values(),
    isServed: (target) => slots.some((slot) => slot.setting.targets.includes(target)),
    workers,
    onViolation: ({ promise, words }) => trace.note("world", () => `BROKEN: ${promise}: ${words}`),
  });
  const onBroken = (error: unknown) => watch.report(Promised.NoSurprise, stackOf(error));
  const server = createStoreServer({
    agenda,
    createCore: (isLocked) =>
      setting.store === "sqlite"
        ? createSqliteCore({ deploymentId: DEPLOYMENT_ID })
        : createModelCore({ deploymentId: DEPLOYMENT_ID, isLocked }),
    onApplied(call, answer) {
      if (keepsTrace) {
        const { text, isTelling } = tellOperation(call, answer);
        trace.note("store", () => text, isTelling);
      }
      watch.onApplied(call, answer);
    },
  });
  for (const { target, rules } of setting.clouds) {
    const onMade: Parameters<typeof createCloud>[0]["onMade"] = (job) => {
      trace.note(target, () => `makes ${job.name}, which ${job.ending}`);
      watch.onMade(job);
    };
    clouds.set(target, createCloud({ target, rules, agenda, dice, chaos, onMade }));
  }

  const kit: Kit = {
    setting,
    agenda,
    dice,
    chaos,
    network: createNetwork(agenda, dice),
    freezer: createFreezer({ agenda, chaos, ttlMs: setting.ttlMs }),
    trace,
    server,
    clouds,
    deploymentId: DEPLOYMENT_ID,
    keyring: createKeyring([new Uint8Array(32)], createSeededEntropy(setting.seed)),
    onBroken,
    onTold: watch.onTold,
    machine: machineOf,
    process(machine, name) {
      use(machine);
      const number = processes.filter((process) => process.name.startsWith(`${name}/`)).length + 1;
      const fullName = `${name}/${number}`;
      const process = createProcess(agenda, machineOf(machine), fullName, dice.seedOf(fullName));
      if (suspended.has(machine)) process.freeze();
      processes.push(process);
      return process;
    },
  };

  function machineOf(name: string) {
    const machine = machines.get(name);
    if (machine === undefined) throw new Error(`there is no machine ${name}`);
    return machine;
  }

  /** Somebody is to run on this machine: now it matters how its clocks go. */
  function use(name: string): void {
    const planned = setting.machines.find((machine) => machine.name === name);
    if (planned === undefined || inUse.has(name)) return;
    inUse.add(name);
    const { rate, offsetMs } = planned;
    const ids = clockIds(name);
    if (rate !== 1 && allows(ids.rate)) {
      chaos.planned(ids.rate, ClockFault.Rate);
      trace.note("world", () => `the monotonic clock of ${name} goes ${percent(rate - 1)}`);
    }
    if (offsetMs !== 0 && allows(ids.offset)) {
      chaos.planned(ids.offset, ClockFault.Offset);
      trace.note("world", () => `the wall clock of ${name} is ahead by ${offsetMs} ms`);
    }
  }

  const slotParts: Pick<SlotOptions, "kit" | "onBegun"> = {
    kit,
    onBegun: (worker) => void workers.push(worker),
  };
  const slots = setting.workers
    .filter(({ name }) => allows(name))
    .map((worker) => createSlot({ ...slotParts, setting: worker }));
  for (const { setting } of slots) chaos.planned(setting.name, "workers");
  for (const { machine } of [...setting.gateways, ...slots.map((slot) => slot.setting)]) use(machine);
  const gateways: (SimGateway | undefined)[] = setting.gateways.map(({ name, machine }) =>
    createSimGateway(kit, kit.process(machine, name), slots),
  );

  function crashGateway(index: number, restartAfterMs: number): boolean {
    const which = setting.gateways[index];
    const gateway = gateways[index];
    if (which === undefined || gateway === undefined) return false;
    gateway.crash();
    gateways[index] = undefined;
    agenda.at(agenda.nowMs + restartAfterMs, () => {
      gateways[index] = createSimGateway(kit, kit.process(which.machine, which.name), slots);
    });
    return true;
  }

  function startTwin(of: WorkerSetting): () => void {
    const machine = setting.machines.find(({ name }) => name !== of.machine)?.name ?? of.machine;
    const twin = createSlot({ ...slotParts, setting: of, machine });
    twin.start();
    return () => twin.close();
  }

  function suspend(machine: string): boolean {
    if (suspended.has(machine)) return false;
    suspended.add(machine);
    machineOf(machine).suspend();
    for (const process of processes) if (process.machine.name === machine) process.freeze();
    return true;
  }

  function resume(machine: string): void {
    if (!suspended.delete(machine)) return;
    machineOf(machine).resume();
    for (const process of processes) if (process.machine.name === machine) process.thaw();
  }

  for (const slot of slots) agenda.at(dice.next("starts") * 1_000, slot.start);
  for (const plan of setting.jobs) {
    startCaller({
      kit,
      plan,
      gateway: () => gateways[plan.gateway],
      told: watch.told,
      allows,
      onBusy(by) {
        busy += by;
      },
    });
  }
  const accidentsEndMs = planAccidents({
    kit,
    slots,
    allows,
    isInUse: (machine) => inUse.has(machine),
    suspend,
    resume,
    startTwin,
    crashGateway,
  });
  const calmMs = Math.max(setting.faultsEndMs, accidentsEndMs);

  // After whatever ends at that very moment.
  agenda.at(calmMs + 1, () => agenda.at(agenda.nowMs + watch.calm(), watch.judgeTakeover));

  // What was late when all was done may still come, and must do no harm.
  const leastEndMs = calmMs + (setting.seed % LINGERS_EVERY === 0 ? LINGER_MS : 0);
  const isOver = () =>
    watch.violation !== undefined ||
    (busy === 0 && agenda.nowMs > leastEndMs && watch.unfinished() === undefined);
  const onUnhandled = (error: unknown) => onBroken(error);
  let events: ReadonlyMap<string, number>;
  process.on("unhandledRejection", onUnhandled);
  try {
    await agenda.run(calmMs + LONGEST_REST_MS, isOver);
    watch.conclude();
    events = watch.events();
  } finally {
    process.off("unhandledRejection", onUnhandled);
    for (const each of processes) each.kill();
    server.core.close();
  }
  return {
    violation: watch.violation,
    struck: chaos.struck,
    counts: chaos.counts,
    tests: watch.tests,
    events,
    trace,
    simulatedMs: agenda.nowMs,
    acts: agenda.acts,
  };
}

function clockIds(machine: string): { readonly rate: string; readonly offset: string } {
  return { rate: `${machine} rate`, offset: `${machine} offset` };
}

function percent(share: number): string {
  return `${Math.abs(share * 100).toFixed(2)} % ${share < 0 ? "slow" : "fast"}`;
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
