import type { Allows } from "#test/simulation/kernel/chaos.ts";
import type { Kit } from "./kit.ts";
import { type Accident, LARGEST_OFFSET_MS, type WorkerSetting } from "./setting.ts";
import type { Slot } from "./slot.ts";
import { STORE } from "./store-client.ts";

export interface AccidentOptions {
  readonly kit: Kit;
  readonly slots: readonly Slot[];
  readonly allows: Allows;
  /** Whether somebody runs on this machine, or has. */
  isInUse(machine: string): boolean;
  /** False when it is suspended already. */
  suspend(machine: string): boolean;
  resume(machine: string): void;
  /** Starts a second process under the id of this worker, elsewhere; answers how to end it. */
  startTwin(of: WorkerSetting): () => void;
  /** False when it is down already. */
  crashGateway(index: number, restartAfterMs: number): boolean;
}

/** Has everything happen that the seed planned; each accident ends by itself. Answers when the last one is over. */
export function planAccidents(options: AccidentOptions): number {
  const { kit, allows } = options;
  let lastMs = 0;
  for (const accident of kit.setting.accidents) {
    if (!allows(accident.id)) continue;
    lastMs = Math.max(lastMs, accident.atMs + accident.forMs);
    kit.agenda.at(accident.atMs, () => {
      if (befall(accident, options)) kit.chaos.planned(accident.id, accident.kind);
    });
  }
  return lastMs;
}

/** Answers whether there was anything for it to befall; if not, nothing happened at all. */
function befall(accident: Accident, options: AccidentOptions): boolean {
  const { kind, which } = accident;
  if (kind === "gateway crash") {
    const index = Math.floor(which * options.kit.setting.gateways.length);
    if (!options.crashGateway(index, accident.forMs)) return false;
    options.kit.trace.note("world", () => "a gateway crashes");
    return true;
  }
  if (kind === "cut" || kind === "one-way cut" || kind === "store outage")
    return befallLink(kind, accident, options);
  if (kind === "suspend" || kind === "jump") return befallMachine(kind, accident, options);
  const { name } = pick(options.kit.setting.workers, which);
  const slot = options.slots.find(({ setting }) => setting.name === name);
  // Left out of a schedule that is shrunk.
  return slot !== undefined && befallWorker(kind, slot, accident, options);
}

function befallWorker(
  kind: "crash" | "replace" | "drain" | "freeze" | "twin",
  slot: Slot,
  { forMs, which }: Accident,
  { kit, startTwin }: AccidentOptions,
): boolean {
  const { name } = slot.setting;
  const { agenda } = kit;
  const tell = (what: string) => kit.trace.note("world", () => `${name} ${what}, for ${forMs} ms`);
  if (kind === "twin") {
    tell("gets a twin under its id");
    agenda.at(agenda.nowMs + forMs, startTwin(slot.setting));
    return true;
  }
  const { worker } = slot;
  if (worker === undefined) return false;
  switch (kind) {
    case "crash":
      tell("crashes");
      slot.crash(forMs);
      break;
    case "replace":
      tell("crashes, and comes again under another id");
      slot.crash(forMs, `${name}-again-${Math.floor(which * 1000)}`);
      break;
    case "drain":
      slot.drain(forMs);
      break;
    case "freeze":
      tell("is frozen");
      kit.freezer.freeze(worker.process, forMs);
      break;
  }
  return true;
}

function befallMachine(
  kind: "suspend" | "jump",
  { forMs, which, other }: Accident,
  { kit, isInUse, suspend, resume }: AccidentOptions,
): boolean {
  const { agenda, setting } = kit;
  const machine = pick(setting.machines, which).name;
  const tell = (what: string) => kit.trace.note("world", () => `${what}, for ${forMs} ms`);
  if (!isInUse(machine)) return false;
  const after = (act: () => void) => agenda.at(agenda.nowMs + forMs, act);
  switch (kind) {
    case "suspend":
      if (!suspend(machine)) return false;
      tell(`${machine} is suspended`);
      after(() => resume(machine));
      break;
    case "jump": {
      const byMs = Math.round((other - 0.5) * 2 * LARGEST_OFFSET_MS);
      tell(`the wall clock of ${machine} jumps by ${byMs} ms`);
      kit.machine(machine).jump(byMs);
      after(() => kit.machine(machine).jump(-byMs));
      break;
    }
  }
  return true;
}

function befallLink(
  kind: "cut" | "one-way cut" | "store outage",
  { forMs, which, other }: Accident,
  { kit, isInUse }: AccidentOptions,
): boolean {
  const { agenda, network, setting, trace } = kit;
  const machines = setting.machines.map(({ name }) => name);
  const cut = (words: string, links: readonly (readonly [from: string, to: string])[]) => {
    trace.note("world", () => `${words}, for ${forMs} ms`);
    for (const [from, to] of links) network.cut(from, to);
    agenda.at(agenda.nowMs + forMs, () => {
      for (const [from, to] of links) network.heal(from, to);
    });
    return true;
  };
  const bothWays = (a: string, b: string) => [[a, b] as const, [b, a] as const];
  if (kind === "store outage") {
    return cut(
      "nobody reaches the store",
      machines.flatMap((name) => bothWays(name, STORE)),
    );
  }
  const machine = pick(machines, which);
  const end = pick([STORE, ...kit.clouds.keys(), ...machines], other);
  if (!isInUse(machine) || (machines.includes(end) && !isInUse(end))) return false;
  if (kind === "cut") return cut(`${machine} and ${end} are cut off from each other`, bothWays(machine, end));
  // Mostly the way back: what is asked is done, and nobody is told.
  const [from, to] = (which * 1_000) % 1 < 0.7 ? [end, machine] : [machine, end];
  return cut(`nothing from ${from} reaches ${to}`, [[from, to]]);
}

function pick<T>(values: readonly T[], which: number): T {
  const value = values[Math.floor(which * values.length)];
  if (value === undefined) throw new Error("there is nothing to pick from");
  return value;
}
