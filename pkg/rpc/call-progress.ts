import { Code, ConnectError, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Clock } from "#pkg/clock/index.ts";
import { CallerError, InvalidArgumentError } from "#pkg/errors/index.ts";
import { TENANT_HEADER, tenantIdFault } from "#pkg/job/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import { type Call, callKey } from "./call.ts";
import { MAX_TOLD_VIOLATIONS, toConnectError } from "./errors.ts";
import { refuseUnsoundQuery } from "./query-message.ts";
import { refuseUnknownFields } from "./unknown-fields.ts";

/** How a call ended, for metrics. */
export interface CallEnd {
  /** The name of the RPC; `unknown` where there is no such one. */
  readonly rpc: string;
  /** `ok`, or the Connect code in its own words. */
  readonly code: string;
  readonly durationMs: number;
}

export interface CallOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * Awaited before a body is read, once the tenant is known to be well-formed: resolves when calls can be served, rejects
   * with what keeps them from it. A caller's deadline ends the wait.
   */
  readonly gate: () => Promise<void>;
  readonly onEnd: (end: CallEnd) => void;
}

/** What is known of a call between its gate and its end. */
interface Progress {
  /** The interceptor has it: what it says of the end counts, not what the signal says. */
  isHandled: boolean;
  end(code: string): void;
}
const progressOf = new WeakMap<Call, Progress>();

/** Runs with a call's headers known and its body unread. Whatever it throws is what the caller is told. */
export async function enterCall(options: CallOptions, context: HandlerContext): Promise<void> {
  const rpc = context.method.name;
  const { requestId, log } = context.values.get(callKey) ?? { requestId: "", log: options.log };
  const tenant = context.requestHeader.get(TENANT_HEADER);
  const fault = tenantIdFault(tenant);
  const tenantId = fault === undefined ? (tenant ?? "") : "";
  const call: Call = {
    requestId,
    tenantId,
    log: log.child({ rpc, ...(tenantId && { tenant_id: tenantId }) }),
  };
  context.values.set(callKey, call);
  track(options, context, call);
  if (fault !== undefined) throw toConnectError(fault, requestId);
  try {
    refuseUnsoundQuery(context);
    await untilAborted(options.gate(), context.signal, call.log);
  } catch (error) {
    throw toConnectError(error, requestId);
  }
}

/**
 * Hears of every end. A call that a handler answered tells of it through the interceptor. One that never got there (the
 * gate, a parser, a limit) is heard of through its signal, which Connect aborts with the reason whatever the protocol.
 */
function track({ clock, onEnd }: CallOptions, { method, signal }: HandlerContext, call: Call): void {
  const startedMs = clock.monotonicMs();
  let hasEnded = false;
  const progress: Progress = {
    isHandled: false,
    end(code) {
      if (hasEnded) return;
      hasEnded = true;
      onEnd({ rpc: method.name, code, durationMs: clock.monotonicMs() - startedMs });
    },
  };
  progressOf.set(call, progress);
  const onAbort = () => {
    if (progress.isHandled) return;
    const { reason } = signal;
    const code = codeToString(reason instanceof ConnectError ? reason.code : Code.Canceled);
    call.log.info({ code }, "call refused before it reached its handler");
    progress.end(code);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
}

/**
 * Refuses what the schema does not know, holds the caller's deadline, and translates and logs what the handler throws. A
 * handler whose caller left or ran out of time goes on to its end; what it committed stays committed.
 */
export function createCallInterceptor(): Interceptor {
  return (next) => async (request) => {
    const call = request.contextValues.get(callKey);
    const progress = call && progressOf.get(call);
    if (call === undefined || progress === undefined || request.stream) return next(request);
    progress.isHandled = true;
    try {
      refuseUnknownFields(request.method.input, request.message);
      const response = await untilAborted(next(request), request.signal, call.log);
      progress.end("ok");
      return response;
    } catch (error) {
      const told = toConnectError(error, call.requestId);
      const code = codeToString(told.code);
      logEnd(call.log, code, told.code, error);
      progress.end(code);
      throw told;
    }
  };
}

function logEnd(log: Logger, code: string, kind: Code, error: unknown): void {
  if (kind === Code.Internal) {
    log.error({ code, err: error }, "call failed");
    return;
  }
  if (kind === Code.Unavailable) {
    log.warn({ code, err: error }, "call failed");
    return;
  }
  // A caller's mistake is told by names alone: its words may hold what it sent.
  const reason = error instanceof CallerError ? error.reason : undefined;
  const violations = error instanceof InvalidArgumentError ? error.violations : undefined;
  const fields = violations?.slice(0, MAX_TOLD_VIOLATIONS).map(({ field }) => field);
  log.info({ code, reason, fields }, "call refused");
}

/** What `work` comes to, or the signal's reason when that aborts first: a store that hangs must not outlast a deadline. */
async function untilAborted<T>(work: Promise<T>, signal: AbortSignal, log: Logger): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => {
    aborted.reject(signal.reason);
    work.catch((error: unknown) => log.warn({ err: error }, "call failed after its caller had left"));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
