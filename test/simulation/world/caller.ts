import { NotFoundError } from "#pkg/errors/index.ts";
import { IDEMPOTENCY_KEY_HEADER } from "#pkg/rpc/index.ts";
import type { Allows } from "#test/simulation/kernel/chaos.ts";
import { WORLD_BEGAN_MS } from "#test/simulation/kernel/machine.ts";
import type { RpcAnswer, SimGateway } from "./gateway.ts";
import type { Kit } from "./kit.ts";
import { type CallerAct, CallerHabit, type JobPlan } from "./setting.ts";
import type { RpcCall } from "./worker.ts";

/** What callers were told, as far as the promises hang on it. */
export interface Told {
  /** A call for a new job is sent that carries this plan's label: a submit, or a retry of its job. */
  onAsked(plan: string): void;
  /** A call about this job of the tenant's is sent, or for a list. Judges its answer. */
  onAsking(tenant: string, jobId: string): (answer: RpcAnswer) => void;
  onListing(tenant: string): (answer: RpcAnswer) => void;
  /** A reply named this job. */
  onNamed(tenant: string, jobId: string, idempotencyKey: string | undefined): void;
  /** A call for a cancel or a delete is sent. */
  onRequesting(kind: "cancel" | "delete", tenant: string, jobId: string): void;
  /** A cancel or a delete was answered OK. */
  onRequested(kind: "cancel" | "delete", tenant: string, jobId: string): void;
  /** Somebody else's tenant asked for a job and was answered so. */
  onSpied(what: string, jobId: string, answer: RpcAnswer): void;
}

export interface CallerOptions {
  readonly kit: Kit;
  readonly plan: JobPlan;
  /** The gateway to be called now; undefined while it is down. */
  readonly gateway: () => SimGateway | undefined;
  readonly told: Told;
  readonly allows: Allows;
  /** Told of what the caller still has to do: +1 when it comes up, -1 when it is done. */
  readonly onBusy: (by: 1 | -1) => void;
}

const RETRY_MS = 1_500;
/** The caller's own. */
const TIMEOUT_MS = 15_000;

/** One caller with one job: submits it, tries again when it hears nothing, and does what its plan says then. */
export function startCaller({ kit, plan, gateway, told, allows, onBusy }: CallerOptions): void {
  const { agenda, chaos, trace } = kit;
  const { tenant } = plan;

  function call(
    call: Omit<RpcCall, "headers">,
    headers: Readonly<Record<string, string>>,
    leaving = new AbortController(),
  ): Promise<RpcAnswer> {
    return new Promise((resolve) => {
      const served = gateway();
      if (served === undefined) return resolve({ kind: "failed", why: "gateway down" });
      agenda.at(agenda.nowMs + TIMEOUT_MS, () => {
        leaving.abort();
        resolve({ kind: "failed", why: "no answer" });
      });
      served.call({ ...call, headers } as RpcCall, leaving.signal, resolve);
    });
  }

  /** Has the caller do something later. */
  function later(afterMs: number, todo: () => Promise<void>): void {
    onBusy(1);
    agenda.at(agenda.nowMs + afterMs, () => {
      todo()
        .catch(kit.onBroken)
        .finally(() => onBusy(-1));
    });
  }

  function act(id: string, what: string): void {
    chaos.planned(id, what);
    trace.note(plan.id, () => what);
  }

  function ask(leaving?: AbortController): Promise<RpcAnswer> {
    const headers: Record<string, string> =
      plan.idempotencyKey === undefined ? {} : { [IDEMPOTENCY_KEY_HEADER]: plan.idempotencyKey };
    told.onAsked(plan.id);
    return call({ rpc: "submitJob", tenant, request: requestOf(plan) }, headers, leaving);
  }

  async function repeat(): Promise<void> {
    const answer = await ask();
    trace.note(plan.id, () => `repeats and is answered ${describe(answer)}`);
    if (answer.kind !== "answered") return;
    told.onNamed(tenant, (answer.response as { readonly jobId: string }).jobId, plan.idempotencyKey);
  }

  async function submit(tries: number): Promise<void> {
    const leaving = new AbortController();
    const answer = await hurried(ask(leaving));
    if (answer === undefined) return leaving.abort();
    trace.note(plan.id, () => `is answered ${describe(answer)}`);
    if (answer.kind === "answered") {
      const { jobId } = answer.response as { readonly jobId: string };
      told.onNamed(tenant, jobId, plan.idempotencyKey);
      for (const next of plan.acts) later(next.afterMs, () => carryOut(next, jobId));
    } else if (answer.kind === "failed" && tries > 1 && plan.idempotencyKey !== undefined) {
      again(tries - 1);
    }
  }

  function again(triesLeft: number): void {
    const id = `${plan.id} try-${1 + plan.tries - triesLeft}`;
    if (!allows(id)) return;
    later(RETRY_MS, () => {
      act(id, `caller: ${CallerHabit.TryAgain}`);
      return submit(triesLeft);
    });
  }

  /** The answer, or undefined when the caller has gone away before. */
  function hurried(answer: Promise<RpcAnswer>): Promise<RpcAnswer | undefined> {
    const patienceMs = plan.hangsUpAfterMs;
    const id = `${plan.id} hang-up`;
    if (patienceMs === undefined || !allows(id)) return answer;
    return new Promise((resolve, reject) => {
      let isAnswered = false;
      answer.then((told) => {
        isAnswered = true;
        resolve(told);
      }, reject);
      agenda.at(agenda.nowMs + patienceMs, () => {
        if (isAnswered) return;
        act(id, `caller: ${CallerHabit.HangUp}`);
        resolve(undefined);
      });
    });
  }

  async function carryOut({ id, kind }: CallerAct, jobId: string): Promise<void> {
    if (!allows(id)) return;
    act(id, `caller: ${kind}`);
    switch (kind) {
      case "cancel":
        return request("cancel", jobId);
      case "delete":
        return request("delete", jobId);
      case "retry": {
        const headers = { [IDEMPOTENCY_KEY_HEADER]: `retry of ${jobId}` };
        told.onAsked(plan.id);
        const answer = await askAbout("retryJob", { jobId, waitSeconds: 0 }, headers);
        if (answer.kind !== "answered") return;
        const named = answer.response as { readonly jobId: string };
        told.onNamed(tenant, named.jobId, `retry of ${jobId}`);
        return;
      }
      case "get":
        await askAbout("getJob", { jobId });
        return;
      case "list": {
        const judge = told.onListing(tenant);
        judge(await call({ rpc: "listJobs", tenant, request: {} }, {}));
        return;
      }
      case "repeat":
        if (plan.idempotencyKey !== undefined) await repeat();
        return;
      case "spy":
        return spy(jobId);
    }
  }

  async function askAbout(
    rpc: "getJob" | "cancelJob" | "deleteJob" | "retryJob",
    request: { readonly jobId: string; readonly waitSeconds?: number },
    headers: Readonly<Record<string, string>> = {},
  ): Promise<RpcAnswer> {
    const judge = told.onAsking(tenant, request.jobId);
    const answer = await call({ rpc, tenant, request } as Omit<RpcCall, "headers">, headers);
    judge(answer);
    return answer;
  }

  async function request(kind: "cancel" | "delete", jobId: string): Promise<void> {
    const rpc = kind === "cancel" ? "cancelJob" : "deleteJob";
    told.onRequesting(kind, tenant, jobId);
    const answer = await askAbout(rpc, { jobId });
    trace.note(plan.id, () => `is answered to ${kind}: ${describe(answer)}`);
    if (answer.kind === "answered") told.onRequested(kind, tenant, jobId);
  }

  async function spy(jobId: string): Promise<void> {
    for (const rpc of ["getJob", "cancelJob", "deleteJob", "retryJob"] as const) {
      told.onSpied(rpc, jobId, await call({ rpc, tenant: `${tenant}-other`, request: { jobId } }, {}));
    }
  }

  if (!allows(plan.id)) return;
  later(plan.atMs, () => {
    act(plan.id, `caller: ${CallerHabit.Submit}`);
    return submit(plan.tries);
  });
}

function requestOf(plan: JobPlan) {
  return {
    imageUri: "registry.example/app:1",
    entrypoint: "/bin/app",
    envVars: plan.env,
    maxRetries: plan.maxRetries,
    priority: plan.priority,
    waitSeconds: plan.waitSeconds,
    target: plan.target ?? "",
    labels: {
      plan: plan.id,
      runs_ms: String(plan.runsMs),
      failures: String(plan.failures),
      refused: String(plan.isRefused),
      never_starts: String(plan.neverStarts),
    },
    ...(plan.notBeforeMs !== undefined && {
      notBefore: timestamp(WORLD_BEGAN_MS + plan.atMs + plan.notBeforeMs),
    }),
  };
}

function timestamp(ms: number): { readonly seconds: bigint; readonly nanos: number } {
  return { seconds: BigInt(Math.floor(ms / 1000)), nanos: (ms % 1000) * 1_000_000 };
}

function describe(answer: RpcAnswer): string {
  if (answer.kind === "failed") return `nothing (${answer.why})`;
  if (answer.kind === "refused") return `${answer.error.name} ${answer.error.message}`;
  return JSON.stringify(answer.response);
}

/** Whether this is how a job of somebody else, or of nobody, is to be answered. */
export function isNotFound(answer: RpcAnswer): boolean {
  return answer.kind === "failed" || (answer.kind === "refused" && answer.error instanceof NotFoundError);
}
