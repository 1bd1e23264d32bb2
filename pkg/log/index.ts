/**
 * Structured logs: one line an event, with the fields of the field's own names (`tenant_id`, `job_id`, `attempt`,
 * `worker_id`, `term`, `request_id`), to be read by machines as JSON or by people as `pretty` lines.
 *
 * It promises that an error is logged with its causes and nothing else that hangs on it, and that nothing a caller sent
 * can break or forge a line. It leaves to its callers never to log env values, keys or tokens.
 */
export { createLogger, LogFormat, type Logger, LogLevel, type LogOptions } from "./logger.ts";
export { serializeError } from "./serialize-error.ts";
