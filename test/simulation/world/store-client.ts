import { UnavailableError } from "#pkg/errors/index.ts";
import type { JobStore } from "#pkg/store/index.ts";
import { CallFault, type Chaos } from "#test/simulation/kernel/chaos.ts";
import type { Network } from "#test/simulation/kernel/network.ts";
import type { SimProcess } from "#test/simulation/kernel/process.ts";
import type { Trace } from "#test/simulation/kernel/trace.ts";
import type { OperationName } from "#test/simulation/store/core.ts";
import type { FreezePoint, Freezer } from "./freeze.ts";
import type { StoreAnswer, StoreCall, StoreServer } from "./store-server.ts";

export interface StoreClientOptions {
  readonly process: SimProcess;
  readonly server: StoreServer;
  readonly network: Network;
  readonly chaos: Chaos;
  readonly freezer: Freezer;
  readonly trace: Trace;
}

/** The database's name in the network. */
export const STORE = "store";

/** When a client gives up on an answer. */
const TIMEOUT_MS = 4_000;
/** The longest that a call is on its way, or a commit takes: so writes may take effect long after their client gave up. */
const LONGEST_MS = 20_000;
const LONGEST_COMMIT_MS = 5_000;

/** All of the port's operations; the list is checked against the port's own type. */
const OPERATIONS: Readonly<Record<OperationName, "read" | "write">> = {
  ping: "read",
  meta: "read",
  setKeyFingerprint: "write",
  insertJobs: "write",
  updateJobs: "write",
  leaveRequest: "write",
  deleteJob: "write",
  getJobs: "read",
  hasTombstone: "read",
  findKey: "read",
  listEvents: "read",
  listJobs: "read",
  lookUpJobs: "read",
  findRequests: "read",
  findOwned: "read",
  claimJobs: "write",
  hasJobsOf: "read",
  markEmptied: "write",
  readWorkers: "read",
  beginTerm: "write",
  renewTerm: "write",
  expireTerm: "write",
  endTerm: "write",
  purge: "write",
};

/** A process's handle on the database: calls that may be refused, lost, slow, or answered too late. */
export function createStoreClient(options: StoreClientOptions): JobStore {
  const { process, server, network, chaos, freezer, trace } = options;
  const here = process.machine.name;

  function call(call: StoreCall): Promise<unknown> {
    const where = `${process.name} ${call.name}`;
    return new Promise((resolve, reject) => {
      let isOver = false;
      const end = (settle: () => void) =>
        process.deliver(() => {
          if (isOver) return;
          isOver = true;
          timeout.cancel();
          settle();
        });
      const timeout = process.clock.timer(TIMEOUT_MS, () =>
        end(() => reject(unreachable("no answer in time"))),
      );
      const receive = (answer: StoreAnswer, delayMs: number) =>
        network.send(STORE, here, delayMs, () =>
          end(() => (answer.kind === "done" ? resolve(answer.result) : reject(answer.error))),
        );
      const fail = (words: string) =>
        network.send(STORE, here, 0, () => end(() => reject(unreachable(words))));

      const send = () => {
        if (chaos.strikes(CallFault.StoreRefuses, where)) return fail("refused");
        if (chaos.strikes(CallFault.StoreRequestLost, where)) return;
        const slow = chaos.strikes(CallFault.StoreSlow, where);
        network.ask(here, STORE, (slow?.force ?? 0) * LONGEST_MS, arrive);
      };
      const arrive = () => {
        const commit =
          OPERATIONS[call.name] === "write" ? chaos.strikes(CallFault.StoreSlowCommit, where) : undefined;
        server.handle(call, (commit?.force ?? 0) * LONGEST_COMMIT_MS, (answer) => {
          const lost = chaos.strikes(CallFault.StoreAnswerLost, where);
          if (lost !== undefined) return lost.force < 0.5 ? fail("connection reset") : undefined;
          receive(answer, (chaos.strikes(CallFault.StoreLate, where)?.force ?? 0) * LONGEST_MS);
        });
      };
      trace.note(process.name, () => `→ store ${call.name}`, false);
      freezer.send(process, freezePointOf(call.name), LONGEST_MS, send);
    });
  }

  const operations = Object.fromEntries(
    Object.keys(OPERATIONS).map((name) => [
      name,
      // The name is one of the table's, and the arguments those of the port.
      (...args: readonly unknown[]) => call({ name, args, from: process } as unknown as StoreCall),
    ]),
  ) as unknown as Omit<JobStore, "capabilities" | "start" | "stop" | "dataKey">;

  return {
    ...operations,
    capabilities: { maxGroup: 10 },
    start: () => Promise.resolve(),
    stop: () => Promise.resolve(),
    dataKey: () => Promise.reject(unreachable("the simulation has keys of its own")),
  };
}

function freezePointOf(name: OperationName): FreezePoint {
  if (OPERATIONS[name] === "read") return CallFault.FreezeAtRead;
  return name.endsWith("Term") ? CallFault.FreezeAtTermWrite : CallFault.FreezeAtJobWrite;
}

function unreachable(words: string): UnavailableError {
  return new UnavailableError("STORE_UNREACHABLE", `the store: ${words}`);
}
