import { base64Decode } from "@bufbuild/protobuf/wire";
import type { HandlerContext } from "@connectrpc/connect";
import { InvalidArgumentError } from "#pkg/errors/index.ts";

/**
 * Refuses a Connect GET whose message says that it is base64 and is none. Connect itself would answer `internal`, as if the
 * fault were the server's.
 * @throws InvalidArgumentError naming the query's parameter.
 */
export function refuseUnsoundQuery({ requestMethod, url }: HandlerContext): void {
  if (requestMethod !== "GET") return;
  const query = new URL(url).searchParams;
  if (query.get("base64") !== "1") return;
  try {
    base64Decode(query.get("message") ?? "");
  } catch {
    throw new InvalidArgumentError([{ field: "message", description: "is not base64, as base64=1 says" }]);
  }
}
