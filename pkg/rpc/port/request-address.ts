/** Which `Host` names a port answers. */
export type AddressCheck = (hostname: string) => boolean;

/**
 * Loopback names alone: what a server that lets its callers run programs on this machine must hold to, so that no page in
 * a browser reaches it under a name that was pointed at 127.0.0.1 (DNS rebinding).
 */
export const LOOPBACK_ONLY: AddressCheck = (hostname) =>
  hostname === "localhost" || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname);

/** A host and perhaps a port, without what `URL` would read as a user, a path, a query or a fragment. */
const AUTHORITY = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(?::\d{1,5})?$/;

/** The origin form alone (RFC 9112, section 3.2.1): who sends another took this server for a proxy. */
const TARGET = /^\/[\u0021-\u00ff]*$/;

/** Hosts that passed; a peer sends the same one with each request. Bounded, since a caller chooses them. */
const known = new Map<string, URL>();
const MAX_KNOWN = 256;

/**
 * What is wrong with the address of a request, or undefined. Handlers may build a `URL` of an address that passed: some
 * do, and one that does not parse would end the process.
 */
export function addressFault(
  target: string | undefined,
  authority: string | undefined,
  accepts?: AddressCheck,
): string | undefined {
  if (authority === undefined || authority === "") return "a Host header is required";
  const base = parseAuthority(authority);
  if (base === undefined) return "the Host header is malformed";
  if (accepts !== undefined && !accepts(base.hostname)) return "this server does not answer to that Host";
  if (target === undefined || !TARGET.test(target)) return "the request target must be an absolute path";
  // `//x` would be read as a host, and may not parse.
  if (target.startsWith("//")) return "the request target must not begin with two slashes";
  return undefined;
}

function parseAuthority(authority: string): URL | undefined {
  const seen = known.get(authority);
  if (seen !== undefined) return seen;
  if (!AUTHORITY.test(authority)) return undefined;
  const parsed = URL.parse(`http://${authority}`);
  if (parsed === null) return undefined;
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(authority, parsed);
  return parsed;
}

/** Whether a request carries the header more than once; `raw` alternates names and values. A second `Host` is an attack. */
export function isRepeated(raw: readonly string[], lowerName: string): boolean {
  let count = 0;
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? "";
    if (name.length === lowerName.length && name.toLowerCase() === lowerName) count++;
  }
  return count > 1;
}
