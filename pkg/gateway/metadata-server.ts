import { Pool } from "undici";
import { type Clock, withTimeout } from "#pkg/clock/index.ts";

/** A token that says who this process is, to one audience alone. A secret: it is sent to that audience and shown nowhere. */
export interface IdToken {
  /** As it is sent: `header.payload.signature`. */
  readonly jwt: string;
  /** What the token itself says. Epoch milliseconds. */
  readonly expiresAtMs: number;
}

/** The metadata server of Google's machines, which vouches for the service account that runs here. */
export interface MetadataServer {
  /** Rejects with what went wrong, in words that hold nothing of a token. */
  fetchIdToken(audience: string, signal: AbortSignal): Promise<IdToken>;
  /** Closes its connections; what is in flight fails. */
  destroy(): Promise<void>;
}

const PATH = "/computeMetadata/v1/instance/service-accounts/default/identity";
/** It is on this machine and answers in milliseconds, or not at all. */
const TIMEOUT_MS = 3000;
/** Many times as long as any token. */
const MAX_BYTES = 64 * 1024;
const JWT = /^[\w-]+\.([\w-]+)\.[\w-]+$/;

/** @param host with or without a port; plain HTTP, as it is spoken there. */
export function createMetadataServer(host: string, clock: Clock): MetadataServer {
  const pool = new Pool(`http://${host}`, { connections: 4, maxResponseSize: MAX_BYTES });

  async function ask(audience: string, signal: AbortSignal): Promise<IdToken> {
    const { statusCode, headers, body } = await pool.request({
      method: "GET",
      path: PATH,
      query: { audience, format: "full" },
      headers: { "metadata-flavor": "Google" },
      signal,
    });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`it answered with status ${statusCode}`);
    // Whatever else may listen at that name: only the metadata server says so.
    if (headers["metadata-flavor"] !== "Google") throw new Error("what answered is no metadata server");
    return parseIdToken(text.trim(), audience);
  }

  return {
    async fetchIdToken(audience, signal) {
      const late = () => new Error(`no answer within ${TIMEOUT_MS} ms`);
      try {
        return await withTimeout(clock, TIMEOUT_MS, late, (inner) => ask(audience, inner), signal);
      } catch (cause) {
        throw new Error(`no ID token for ${audience} from the metadata server at ${host}`, { cause });
      }
    },
    destroy: () => pool.destroy(),
  };
}

/** Reads what the token says of itself; whether it is signed well is for its audience to check. */
function parseIdToken(jwt: string, audience: string): IdToken {
  const claims = claimsOf(JWT.exec(jwt)?.[1] ?? "");
  if (claims === undefined) throw new Error("the answer is no ID token");
  if (claims.aud !== audience) throw new Error("the ID token is for another audience");
  return { jwt, expiresAtMs: claims.exp * 1000 };
}

function claimsOf(payload: string): { readonly aud: unknown; readonly exp: number } | undefined {
  try {
    const { aud, exp } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return typeof exp === "number" ? { aud, exp } : undefined;
  } catch {
    // The parser's own words would quote the token.
    return undefined;
  }
}
