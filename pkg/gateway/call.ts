import type { ConnectError } from "@connectrpc/connect";
import type { Clock } from "#pkg/clock/index.ts";
import {
  DeadlineExceededError,
  InvalidArgumentError,
  ResourceExhaustedError,
  UnavailableError,
} from "#pkg/errors/index.ts";
import { toConnectError } from "#pkg/rpc/index.ts";
import { type CallProtocol, callerTimeoutMs, errorReply, isUnaryProtocol } from "#pkg/rpc/protocol/index.ts";
import { type Caller, ResetCode } from "./caller.ts";
import { headerValue, replyHeaders, requestHeaders } from "./headers.ts";
import { mayRepeat } from "./repeat.ts";
import { createLiveBody, type LiveBody, readWhole } from "./request-body.ts";
import type { KnownRpc } from "./rpc-table.ts";
import type { Visit, VisitFailure } from "./visit.ts";
import type { Guest, Worker } from "./workers.ts";

/** What a call needs to find its way; decided before it begins. */
export interface CallPlan {
  readonly caller: Caller;
  readonly protocol: CallProtocol;
  /** Undefined for a service that the contract does not know. */
  readonly rpc: KnownRpc | undefined;
  readonly requestId: string;
  readonly jobId: string;
  /** The tenant's workers, its own first. */
  readonly workers: readonly Worker[];
}

export interface CallLimits {
  readonly clock: Clock;
  /** Longest body of a unary call, and how much of a stream is kept for a repeat. Bytes. */
  readonly maxRequestBytes: number;
  /** A unary call's whole time, from its headers to the end of its reply. Milliseconds. */
  readonly unaryTimeoutMs: number;
}

/** How a call ended. */
export interface CallEnd {
  /** The status that the caller saw; undefined when it saw none. */
  readonly status: number | undefined;
  /** gRPC's own status, where the reply told one. */
  readonly grpcStatus: string | undefined;
  /** The last worker visited. */
  readonly worker: string | undefined;
  readonly visits: number;
  /** In one word what became of it, when no reply was passed on whole. */
  readonly fault: CallFault | undefined;
  readonly cause: unknown;
}

export const CallFault = {
  /** The gateway answered by itself. */
  Refused: "refused",
  /** The caller went away. */
  CallerGone: "caller_gone",
  /** The reply broke off. */
  Cut: "cut",
} as const;
export type CallFault = (typeof CallFault)[keyof typeof CallFault];

/** The streaming protocols put five bytes before each message. */
const ENVELOPE_BYTES = 5;

/** By how much the worker's own answer to a caller's deadline, which says more, may come later than the deadline. */
const DEADLINE_GRACE_MS = 100;

/** Carries one call to its end; see the README for its states. `onEnd` is called once. */
export function carryCall(plan: CallPlan, limits: CallLimits, onEnd: (end: CallEnd) => void): void {
  const { caller, protocol, rpc } = plan;
  const isUnary = rpc?.isUnary ?? isUnaryProtocol(protocol);
  const overHttp2 = caller.httpVersion === 2 && !isUnaryProtocol(protocol);
  const visited: Worker[] = [];
  let body: Buffer | LiveBody;
  let visit: Visit | undefined;
  let guestOf: Worker | undefined;
  let status: number | undefined;
  let grpcStatus: string | undefined;
  let isOver = false;
  /** Some visit was not refused: whatever became of later ones, what it asked for may have been done. */
  let wasTaken = false;
  const guest: Guest = { workerLost };
  const callerMs = (callerTimeoutMs(protocol, caller.header) ?? Number.POSITIVE_INFINITY) + DEADLINE_GRACE_MS;
  const ownMs = isUnary ? limits.unaryTimeoutMs : Number.POSITIVE_INFINITY;
  const timeMs = Math.min(callerMs, ownMs);
  const timer = Number.isFinite(timeMs) ? limits.clock.timer(timeMs, onDeadline) : undefined;

  caller.onGone = (code) => {
    visit?.cancel(code);
    finish(CallFault.CallerGone);
  };
  caller.onDrain = () => visit?.resume();
  begin();

  function begin(): void {
    if (!isUnary) {
      caller.invite();
      body = createLiveBody(caller.body, limits.maxRequestBytes);
      goOn();
      return;
    }
    const max = limits.maxRequestBytes + (isUnaryProtocol(protocol) ? 0 : ENVELOPE_BYTES);
    if (Number(caller.header("content-length") ?? 0) > max) {
      tooLarge();
      return;
    }
    caller.invite();
    readWhole(
      caller.body,
      max,
      (whole) => {
        body = whole;
        if (!isOver) goOn();
      },
      tooLarge,
    );
  }

  function tooLarge(): void {
    const words = `the request is larger than ${limits.maxRequestBytes} bytes; send less`;
    answer(toConnectError(new ResourceExhaustedError("REQUEST_TOO_LARGE", words), plan.requestId));
  }

  /** Visits the first ready worker that was not visited yet. */
  function goOn(failure?: VisitFailure): void {
    const worker = plan.workers.find((each) => each.isReady && !visited.includes(each));
    if (worker === undefined) {
      answer(unavailable(wasTaken), failure?.cause);
      return;
    }
    visited.push(worker);
    guestOf = worker;
    worker.guests.add(guest);
    const credential = worker.credential();
    if (!(credential instanceof Promise)) {
      send(worker, credential);
      return;
    }
    // Meanwhile the call may have ended or gone on to another worker.
    credential.then(
      (given) => {
        if (guestOf === worker) send(worker, given);
      },
      (cause) => {
        if (guestOf === worker) failed({ wasRefused: true, resetCode: undefined, cause });
      },
    );
  }

  function send(worker: Worker, credential: string | undefined): void {
    const headers = requestHeaders(caller.rawHeaders, {
      authority: caller.authority,
      remoteAddress: caller.remoteAddress,
      requestId: plan.requestId,
      jobId: plan.jobId,
      credential,
      keepsLength: !Buffer.isBuffer(body),
    });
    const outgoing = { method: caller.method, path: caller.target, headers, body };
    try {
      visit = worker.visit(overHttp2, outgoing, { head, data, end, failed });
    } catch (error) {
      // HTTP/2 knows headers that may stand once only; what the caller sent twice cannot be sent on.
      const violations = [{ field: "headers", description: "cannot be passed on" }];
      answer(toConnectError(new InvalidArgumentError(violations, { cause: error }), plan.requestId), error);
    }
  }

  function head(code: number, rawHeaders: string[], isWhole: boolean): void {
    // Overload, like any other reply, is the call's end: it never spills to another worker.
    if (code > MAX_STATUS) {
      visit?.cancel(ResetCode.Cancel);
      answer(toConnectError(new Error(`the worker answered with status ${code}`), plan.requestId));
      return;
    }
    if (!Buffer.isBuffer(body)) body.release();
    const headers = replyHeaders(rawHeaders, plan.requestId);
    grpcStatus = headerValue(headers, "grpc-status");
    status = code;
    try {
      caller.head(code, headers, isWhole || hasNoBody(caller.method, code));
    } catch (error) {
      status = undefined;
      visit?.cancel(ResetCode.Cancel);
      answer(toConnectError(error, plan.requestId), error);
    }
  }

  function data(chunk: Buffer): void {
    if (!caller.write(chunk)) visit?.pause();
  }

  function end(rawTrailers: string[]): void {
    grpcStatus = headerValue(rawTrailers, "grpc-status") ?? grpcStatus;
    finish(undefined);
    caller.end(rawTrailers);
  }

  function failed(failure: VisitFailure): void {
    if (isOver) return;
    leave();
    wasTaken ||= !failure.wasRefused;
    if (status !== undefined) {
      finish(CallFault.Cut, failure.cause);
      caller.reset(failure.resetCode ?? ResetCode.InternalError);
      return;
    }
    if (hasRepeat(failure.wasRefused)) goOn(failure);
    else answer(unavailable(wasTaken), failure.cause);
  }

  function hasRepeat(wasRefused: boolean): boolean {
    return mayRepeat({
      wasRefused,
      isRepeatable: rpc?.isRepeatable ?? false,
      isBodyKept: Buffer.isBuffer(body) || body.isKept,
      hasReplyBegun: status !== undefined,
      visits: visited.length,
    });
  }

  function workerLost(): void {
    const hasOther = plan.workers.some((each) => each.isReady && !visited.includes(each));
    // Whoever cannot go elsewhere waits on: the worker may yet wake and answer.
    if (isOver || !hasOther || !hasRepeat(false)) return;
    visit?.cancel(ResetCode.Cancel);
    failed({ wasRefused: false, resetCode: undefined, cause: new Error("the worker turned unready") });
  }

  function onDeadline(): void {
    if (isOver) return;
    visit?.cancel(ResetCode.Cancel);
    if (status !== undefined) {
      finish(CallFault.Cut, new Error("the call's time ran out"));
      caller.reset(ResetCode.Cancel);
      return;
    }
    const [reason, within] =
      callerMs < ownMs
        ? ["CALLER_TIMEOUT", "the caller's deadline"]
        : ["GATEWAY_TIMEOUT", `${limits.unaryTimeoutMs / 1000} s`];
    const words =
      visited.length === 0
        ? `the request did not come whole within ${within}; nothing was done`
        : `no answer within ${within}; the call may still take effect`;
    answer(toConnectError(new DeadlineExceededError(reason, words), plan.requestId));
  }

  /** The gateway's own reply. */
  function answer(error: ConnectError, cause?: unknown): void {
    if (isOver) return;
    const reply = errorReply(protocol, caller.header("content-type"), error);
    status = reply.status;
    grpcStatus = headerValue(reply.headers, "grpc-status");
    finish(CallFault.Refused, cause ?? error);
    const hasBody = reply.body.length > 0 && caller.method !== "HEAD";
    reply.headers.push("x-request-id", plan.requestId);
    caller.head(reply.status, reply.headers, !hasBody);
    if (hasBody) caller.write(reply.body);
    caller.end([]);
  }

  function leave(): void {
    guestOf?.guests.delete(guest);
    guestOf = undefined;
    visit = undefined;
  }

  function finish(fault: CallFault | undefined, cause?: unknown): void {
    if (isOver) return;
    isOver = true;
    timer?.cancel();
    leave();
    const worker = visited.at(-1)?.name;
    onEnd({ status, grpcStatus, worker, visits: visited.length, fault, cause });
  }
}

/** HTTP/2 has none above, and HTTP/1.1 none with a meaning. */
const MAX_STATUS = 599;

function unavailable(wasTaken: boolean): ConnectError {
  const error = wasTaken
    ? new UnavailableError(
        "WORKER_LOST",
        "the worker was lost before it answered; the call may have taken effect",
      )
    : new UnavailableError("NO_WORKER_READY", "no worker can be reached; nothing was done");
  return toConnectError(error, "");
}

function hasNoBody(method: string, status: number): boolean {
  return method === "HEAD" || status === 204 || status === 304;
}
