import type { Owner } from "#pkg/job/index.ts";
import type { BeginTerm, TermResult, WorkerRecord } from "#pkg/store/index.ts";
import type { StoreCore } from "#test/simulation/store/core.ts";
import { LARGEST_DRIFT } from "#test/simulation/world/setting.ts";
import type { StoreAnswer, StoreCall } from "#test/simulation/world/store-server.ts";
import type { SimWorker } from "#test/simulation/world/worker.ts";
import type { Ledger } from "./ledger.ts";
import { Promised, type Report, type Tested } from "./promise.ts";

export interface TermWatchOptions {
  readonly ledger: Ledger;
  readonly report: Report;
  readonly tested: Tested;
  readonly nowMs: () => number;
  readonly ttlMs: number;
  /** Every worker's process that was ever started. */
  readonly workers: readonly SimWorker[];
}

/** Judges every change of a worker's row, in whose name jobs are written, and who trusts in a lease that a peer expires. */
export function createTermWatch({ ledger, report, tested, nowMs, ttlMs, workers }: TermWatchOptions) {
  /** By `worker:term`: who began it. */
  const holders = new Map<string, string>();
  /** By worker id: when its row was last begun or renewed. */
  const heardAtMs = new Map<string, number>();

  function applied(core: StoreCore, call: StoreCall, answer: StoreAnswer): void {
    for (const owner of ownersOf(call)) judgeWriter(owner, call);
    if (answer.kind === "threw" || !isOfTerms(call)) return;
    const before = ledger.takeWorkers(core);
    for (const [workerId, after] of ledger.workers) judge(before.get(workerId), after, call, answer.result);
  }

  /** Whoever writes for a term is who began it, whether or not the write finds its row. */
  function judgeWriter({ workerId, term }: Owner, { from, name }: StoreCall): void {
    tested(Promised.OwnTerm);
    const writer = workers.find(({ process }) => process === from)?.instance;
    const holder = holders.get(`${workerId}:${term}`);
    if (writer !== holder)
      report(
        Promised.OwnTerm,
        `${from.name} sent ${name} for ${workerId} term ${term}, which is ${holder}'s`,
      );
  }

  function judge(
    before: WorkerRecord | undefined,
    after: WorkerRecord,
    call: StoreCall,
    result: unknown,
  ): void {
    const { workerId, term } = after;
    const key = `${workerId}:${term}`;
    if (before === undefined || before.term !== term || before.instance !== after.instance) {
      if (before !== undefined) tested(Promised.Terms);
      if (before !== undefined && term <= before.term)
        report(Promised.Terms, `${workerId}: term ${term} after ${before.term}`);
      if (holders.has(key)) report(Promised.Terms, `${key} was begun before, by ${holders.get(key)}`);
      holders.set(key, after.instance);
      heardAtMs.set(workerId, nowMs());
      if (call.name === "beginTerm") judgeBegin(before, call.args[0]);
      return;
    }
    if (before.over && !after.over) report(Promised.Terms, `${key} was over and is open again`);
    if (before.over && before.beat !== after.beat) report(Promised.Terms, `${key} is over and was renewed`);
    if (before.beat !== after.beat) heardAtMs.set(workerId, nowMs());
    if (call.name === "renewTerm" && before.beat !== after.beat && (result as TermResult).applied) {
      tested(Promised.OwnTerm);
      if (holders.get(key) !== call.args[1])
        report(Promised.OwnTerm, `${key} was renewed by ${call.args[1]}`);
    }
    if (!before.over && after.over) judgeEnd(before, call);
  }

  function judgeBegin(before: WorkerRecord | undefined, { workerId, expected, instance }: BeginTerm): void {
    if (before === undefined || before.over) return;
    tested(Promised.TermsEndKnowingly);
    const knew = expected?.term === before.term && expected.instance === before.instance;
    if (!knew) {
      report(
        Promised.TermsEndKnowingly,
        `${workerId}: a begin of ${instance} ended term ${before.term} of ${before.instance}, of which it did not know`,
      );
    }
  }

  function judgeEnd(before: WorkerRecord, call: StoreCall): void {
    const { workerId, term, instance } = before;
    tested(Promised.TermsEndKnowingly);
    if (call.name === "endTerm") {
      if (call.args[1] !== instance)
        report(Promised.TermsEndKnowingly, `${workerId} term ${term} was ended by ${call.args[1]}`);
      return;
    }
    const silentMs = nowMs() - (heardAtMs.get(workerId) ?? 0);
    if (silentMs < ttlMs / (1 + LARGEST_DRIFT) - 1)
      report(
        Promised.TermsEndKnowingly,
        `${workerId} term ${term} was expired by ${call.from.name} after ${Math.round(silentMs)} ms of silence`,
      );
    for (const worker of workers) {
      const owner = worker.engine?.ownership.owner;
      if (!worker.process.isAlive || owner?.workerId !== workerId || owner.term !== term) continue;
      if (worker.instance !== instance) continue;
      tested(Promised.TrustIsSole);
      if (trustOf(worker) > 0)
        report(
          Promised.TrustIsSole,
          `${workerId} term ${term} was expired while it trusted in its lease for ${Math.round(trustOf(worker))} ms more`,
        );
    }
  }

  return { applied };
}

function trustOf(worker: SimWorker): number {
  return worker.engine?.ownership.trustedForMs() ?? 0;
}

/** In whose name a call writes to jobs. */
function ownersOf(call: StoreCall): readonly Owner[] {
  switch (call.name) {
    case "insertJobs":
      return call.args[0].flatMap(({ owner }) => owner ?? []);
    case "updateJobs":
      return call.args[0].map(({ owner }) => owner);
    case "deleteJob":
      return [call.args[0].owner];
    case "claimJobs":
      return [call.args[0].claimer];
    default:
      return [];
  }
}

function isOfTerms({ name }: StoreCall): boolean {
  return name === "beginTerm" || name === "renewTerm" || name === "expireTerm" || name === "endTerm";
}
