/**
 * One port, two protocols: HTTP/1.1 and cleartext HTTP/2 on the same address, told apart by their first bytes, for the
 * gateway and for the worker.
 *
 * It promises that whatever arrives, well-formed or not, is answered or its connection closed, and never ends the
 * process; that a handler is only called with a target and a `Host` that parse; that a peer who stalls, sending or reading,
 * holds no connection for ever, unless a handler goes on replying to it or leaves its request unread; and that a drain lets
 * finish what is in flight and takes in nothing new. What a request means is left to the handlers.
 */
export { DEFAULT_PORT_LIMITS, type PortLimits } from "./limits.ts";
export { createPort, type Port, type PortHandlers, type PortOptions } from "./port.ts";
export { type AddressCheck, addressFault, LOOPBACK_ONLY } from "./request-address.ts";
