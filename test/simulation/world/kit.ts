import type { Keyring } from "#pkg/job/index.ts";
import type { Cloud } from "#test/simulation/cloud/cloud.ts";
import type { Agenda } from "#test/simulation/kernel/agenda.ts";
import type { Chaos } from "#test/simulation/kernel/chaos.ts";
import type { Dice } from "#test/simulation/kernel/dice.ts";
import type { Machine } from "#test/simulation/kernel/machine.ts";
import type { Network } from "#test/simulation/kernel/network.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";
import type { Trace } from "#test/simulation/kernel/trace.ts";
import type { Freezer } from "./freeze.ts";
import type { Setting } from "./setting.ts";
import type { StoreServer } from "./store-server.ts";

/** What everything in a world is made with. */
export interface Kit {
  readonly setting: Setting;
  readonly agenda: Agenda;
  readonly dice: Dice;
  readonly chaos: Chaos;
  readonly network: Network;
  readonly freezer: Freezer;
  readonly trace: Trace;
  readonly server: StoreServer;
  /** By target. */
  readonly clouds: ReadonlyMap<string, Cloud>;
  readonly deploymentId: string;
  readonly keyring: Keyring;
  /** Told of an error that nobody foresaw: a promise is broken. */
  readonly onBroken: (error: unknown) => void;
  /** Told of all that a worker logs and answers. */
  readonly onTold: (where: string, value: unknown) => void;
  machine(name: string): Machine;
  /** A new process; each has a name of its own. */
  process(machine: string, name: string): SimProcess;
}
