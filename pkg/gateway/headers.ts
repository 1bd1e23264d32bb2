/** Headers as they came: names and values in turn, duplicates kept, in order. */
export type RawHeaders = readonly string[];

/** Meant for the next hop alone (RFC 9110, section 7.6.1), or answered or set anew here. */
const DROPPED_FROM_REQUEST = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "trailer",
  "te",
  "expect",
  "http2-settings",
  "host",
  "content-length",
  "x-forwarded-host",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-request-id",
  // A caller's is for the front door that it came in by. Whoever serves behind the gateway is shown the gateway's own.
  "x-serverless-authorization",
]);

const DROPPED_FROM_REPLY = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "trailer",
  "x-request-id",
]);

/** Where Cloud Run's front door looks for an ID token first, so that `Authorization` stays the caller's. */
export const SERVERLESS_AUTHORIZATION = "x-serverless-authorization";

/** What only Jennah's own processes may say to each other. */
const INTERNAL_PREFIX = "x-jennah-";

export interface RequestFacts {
  /** The caller's `Host` or `:authority`. */
  readonly authority: string;
  /** The caller's address, as far as it is known. */
  readonly remoteAddress: string | undefined;
  readonly requestId: string;
  readonly jobId: string;
  /** The gateway's own credential for the worker's front door: `Bearer …`. Undefined where it asks for none. */
  readonly credential: string | undefined;
  /** Whether a `Content-Length` stays true: the body is passed on as it comes. */
  readonly keepsLength: boolean;
}

/** What goes to a worker; its `Host` is added by whoever sends it. Names of HTTP/2 stay as they are, in lower case. */
export function requestHeaders(raw: RawHeaders, facts: RequestFacts): string[] {
  const headers: string[] = [];
  const nominated = nominatedBy(raw);
  let forwardedFor = facts.remoteAddress;
  let forwardedProto = "http";
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    const lower = name.toLowerCase();
    if (DROPPED_FROM_REQUEST.has(lower)) {
      if (lower === "te" && /\btrailers\b/i.test(value)) headers.push("te", "trailers");
      else if (lower === "content-length" && facts.keepsLength) headers.push(lower, value);
      else if (lower === "x-forwarded-proto") forwardedProto = value;
      else if (lower === "x-forwarded-for") {
        forwardedFor = forwardedFor === undefined ? value : `${value}, ${forwardedFor}`;
      }
      continue;
    }
    if (lower.startsWith(":") || lower.startsWith(INTERNAL_PREFIX) || nominated?.has(lower)) continue;
    headers.push(lower, value);
  }
  headers.push("x-forwarded-host", facts.authority, "x-forwarded-proto", forwardedProto);
  if (forwardedFor !== undefined) headers.push("x-forwarded-for", forwardedFor);
  headers.push("x-request-id", facts.requestId, "x-jennah-job-id", facts.jobId);
  if (facts.credential !== undefined) headers.push(SERVERLESS_AUTHORIZATION, facts.credential);
  return headers;
}

/** What goes to the caller. Names in lower case, as HTTP/2 wants them. */
export function replyHeaders(raw: RawHeaders, requestId: string): string[] {
  const headers: string[] = [];
  const nominated = nominatedBy(raw);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const lower = (raw[i] ?? "").toLowerCase();
    if (lower.startsWith(":") || DROPPED_FROM_REPLY.has(lower) || nominated?.has(lower)) continue;
    headers.push(lower, raw[i + 1] ?? "");
  }
  headers.push("x-request-id", requestId);
  return headers;
}

/** The value of a header that is expected once; the last one wins. */
export function headerValue(raw: RawHeaders, lowerName: string): string | undefined {
  for (let i = raw.length - 2; i >= 0; i -= 2) {
    const name = raw[i] ?? "";
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) return raw[i + 1];
  }
  return undefined;
}

/** The same as an object, duplicates as arrays, for what takes no raw headers. */
export function joinDuplicates(raw: RawHeaders): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null);
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    const value = raw[i + 1] ?? "";
    const before = headers[name];
    headers[name] = before === undefined ? value : [before, value].flat();
  }
  return headers;
}

/** The headers that `Connection` declares to be for this hop; nearly always none. */
function nominatedBy(raw: RawHeaders): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue;
    const value = (raw[i + 1] ?? "").toLowerCase();
    if (value === "keep-alive" || value === "close") continue;
    names ??= new Set();
    for (const token of value.split(",")) names.add(token.trim());
  }
  // The tenant was checked; a caller that takes it away again would only be refused later, by the worker.
  return names;
}
