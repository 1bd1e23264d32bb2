const LOOPBACK_ADDRESS = /^(127(\.\d{1,3}){3}|::1|localhost)$/;
const LOOPBACK_NAME = /^(127(\.\d{1,3}){3}|\[::1\]|localhost|[a-z0-9.-]+\.localhost)\.?$/;

/** Whether an address to listen on, as `WORKER_HOST` has it, can be reached from this machine alone. */
export function isLoopbackAddress(address: string): boolean {
  return LOOPBACK_ADDRESS.test(address.toLowerCase());
}

/**
 * Whether a `Host`, port and all, names this machine by a loopback name. A web page anywhere can have a name of its own
 * point to 127.0.0.1 and so reach a server on loopback; its `Host` is what gives it away.
 */
export function isLoopbackHost(host: string): boolean {
  const url = URL.parse(`http://${host}`);
  return url !== null && LOOPBACK_NAME.test(url.hostname);
}

/** Whether a URL of the operator's may carry requests in the clear: to this machine alone. */
export function isClearOnlyOnLoopback(text: string): boolean {
  const url = URL.parse(text);
  return url?.protocol === "https:" || (url?.protocol === "http:" && LOOPBACK_NAME.test(url.hostname));
}
