import type { DescService } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as IdempotencyLevel } from "@bufbuild/protobuf/wkt";

/** What the gateway knows of an RPC beforehand. */
export interface KnownRpc {
  /** `SubmitJob`; for logs and metrics. */
  readonly name: string;
  readonly isUnary: boolean;
  /** A second call with the same body does no harm, so it may be sent again after bytes of the first were. */
  readonly isRepeatable: boolean;
}

/** RPCs by request path. A path that is not in it belongs to a service that the gateway has never heard of. */
export type RpcTable = ReadonlyMap<string, KnownRpc>;

/**
 * @param services whose descriptors say what is unary and what has an `idempotency_level`.
 * @param repeatableByJobId methods without such a level that are repeatable through `X-Jennah-Job-Id`.
 */
export function createRpcTable(
  services: readonly DescService[],
  repeatableByJobId: ReadonlySet<string> = new Set(),
): RpcTable {
  return new Map(
    services.flatMap((service) =>
      service.methods.map((method): [string, KnownRpc] => [
        `/${service.typeName}/${method.name}`,
        {
          name: method.name,
          isUnary: method.methodKind === "unary",
          isRepeatable:
            method.idempotency !== IdempotencyLevel.IDEMPOTENCY_UNKNOWN || repeatableByJobId.has(method.name),
        },
      ]),
    ),
  );
}
