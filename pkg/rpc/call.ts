import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import { InvariantError } from "#pkg/errors/index.ts";
import type { Logger } from "#pkg/log/index.ts";

/** One call while it is answered: who it is for, and what its log lines carry. */
export interface Call {
  readonly requestId: string;
  /** The caller's tenant; "" until the gate has looked at it, so never in a handler. */
  readonly tenantId: string;
  /** Adds `request_id`, `rpc` and `tenant_id` to each line. */
  readonly log: Logger;
}

/** Where the call stands among a request's context values. */
export const callKey = createContextKey<Call | undefined>(undefined, { description: "the call" });

/** The call that a handler answers. */
export function callOf(context: Pick<HandlerContext, "values">): Call {
  const call = context.values.get(callKey);
  if (call === undefined)
    throw new InvariantError("the call came by another way than the handler of this package");
  return call;
}
