/**
 * Which of the protocols a request speaks, and an error written in it, without decoding a message: for a server that
 * answers by itself before, or instead of, handing a call on; and how long its caller waits.
 *
 * It promises that a client of that protocol reads the error's code, message, details and headers as if the worker had
 * sent them. The words of the error are its caller's.
 */
export { CallProtocol, isUnaryProtocol, protocolOf } from "./call-protocol.ts";
export { callerTimeoutMs } from "./caller-timeout.ts";
export { type ErrorReply, errorReply } from "./error-reply.ts";
