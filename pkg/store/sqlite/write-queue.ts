import { systemClock } from "#pkg/clock/index.ts";
import {
  BUSY_WORDS,
  type CarriedFault,
  carry,
  displaced,
  faultOf,
  isBusy,
  isWholeDatabase,
  unavailable,
} from "./faults.ts";
import { type Call, reads, urgentWrites, type WriteContext, weightOf, writes } from "./operations.ts";
import { MAX_WAIT_MS, pause } from "./pause.ts";

export type Request = Call & { readonly id: number };
export type Reply = { readonly id: number } & (
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly fault: CarriedFault }
);

/** About this many rows go into one transaction, so that other processes' writers wait milliseconds. */
const MAX_ROWS = 256;

type Run = (on: unknown, ...args: readonly unknown[]) => unknown;
type Waiting = Request & { readonly sinceMs: number };

export interface WriteQueue {
  /** Runs everything that waits, and all that comes meanwhile, until nothing waits. */
  serve(): void;
}

/**
 * Runs requests one transaction after the other. The lock is taken first and only then is looked at what waits: so a
 * renewal that came while another process held the lock is the first to run, and what gathered shares one commit.
 *
 * @param receive the next request that has arrived, without waiting.
 * @param reply sends the answers of one transaction, after its commit.
 * @param maxWaitMs after which what still waits for the lock is refused.
 */
export function createWriteQueue(
  context: WriteContext,
  receive: () => Request | undefined,
  reply: (replies: readonly Reply[]) => void,
  maxWaitMs = MAX_WAIT_MS,
): WriteQueue {
  const { db, tenants } = context;
  const reading: Waiting[] = [];
  const urgent: Waiting[] = [];
  const ordinary: Waiting[] = [];

  function takeIn(): void {
    for (let request = receive(); request !== undefined; request = receive()) {
      const lane = request.name in reads ? reading : request.name in urgentWrites ? urgent : ordinary;
      lane.push({ ...request, sinceMs: systemClock.monotonicMs() });
    }
  }

  /** Reads need no lock, but may meet a database that another process is just recovering or closing. */
  function runReads(): void {
    for (const request of reading.splice(0)) {
      try {
        // Called with the arguments that its own name was sent with.
        const value = (reads[request.name as keyof typeof reads] as Run)(db, ...request.args);
        reply([{ id: request.id, ok: true, value }]);
      } catch (error) {
        if (isBusy(error)) reading.push(request);
        else reply([refusal(request, faultOf(error))]);
      }
    }
  }

  function giveUpOnOld(): void {
    const oldestMs = systemClock.monotonicMs() - maxWaitMs;
    for (const lane of [reading, urgent, ordinary]) {
      while (lane[0] !== undefined && lane[0].sinceMs < oldestMs) {
        const request = lane.shift();
        if (request !== undefined) reply([refusal(request, unavailable(BUSY_WORDS))]);
      }
    }
  }

  function tryBegin(): boolean {
    try {
      if (!db.isInPlace) throw displaced();
      db.exec("BEGIN IMMEDIATE");
      return true;
    } catch (error) {
      if (isBusy(error)) return false;
      // The database itself is at fault, and would be for each of them.
      const fault = faultOf(error);
      reply([...urgent.splice(0), ...ordinary.splice(0)].map((request) => refusal(request, fault)));
      return false;
    }
  }

  function nextGroup(): Waiting[] {
    if (urgent.length > 0) return urgent.splice(0);
    let rows = 0;
    const first = ordinary.findIndex((request, index) => {
      rows += weightOf(request);
      return index > 0 && rows > MAX_ROWS;
    });
    return ordinary.splice(0, first === -1 ? ordinary.length : first);
  }

  function runGroup(group: readonly Waiting[]): void {
    try {
      const replies = group.map((request) => runOne(request));
      db.exec("COMMIT");
      tenants.committed();
      reply(replies);
    } catch (error) {
      undo();
      const fault = faultOf(error);
      reply(group.map((request) => refusal(request, fault)));
    }
  }

  function runOne(request: Waiting): Reply {
    db.exec("SAVEPOINT one");
    try {
      const table = request.name in urgentWrites ? urgentWrites : writes;
      // Called with the arguments that its own name was sent with.
      const value = (table[request.name as keyof typeof table] as Run)(context, ...request.args);
      db.exec("RELEASE one");
      return { id: request.id, ok: true, value };
    } catch (error) {
      if (isWholeDatabase(error) || !db.isTransaction) throw error;
      db.exec("ROLLBACK TO one; RELEASE one");
      tenants.undo();
      return refusal(request, error);
    }
  }

  function undo(): void {
    tenants.undo();
    // A full disk may have undone it already.
    if (db.isTransaction) db.exec("ROLLBACK");
  }

  return {
    serve() {
      for (let waits = 0; ; ) {
        takeIn();
        runReads();
        giveUpOnOld();
        if (reading.length + urgent.length + ordinary.length === 0) return;
        if (urgent.length + ordinary.length === 0 || !tryBegin()) {
          pause(waits++);
          continue;
        }
        waits = 0;
        takeIn();
        runGroup(nextGroup());
      }
    },
  };
}

function refusal(request: Request, error: unknown): Reply {
  return { id: request.id, ok: false, fault: carry(error) };
}
