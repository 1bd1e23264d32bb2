/**
 * Start, drain and stop of anything that runs. A package that runs something returns a `Service`; nothing starts before
 * `start`, and whoever composes services (`createGroup`) starts them in order and drains and stops them in reverse.
 *
 * Promises: every call may be made twice and at any time; `stop` breaks off a start that is under way, part by part, waits for
 * it and takes back what it had begun; a drain is waited for until its signal aborts, and no longer.
 */
export { type ChildOptions, createChildProcess } from "./child-process.ts";
export { createGroup, createParallelGroup } from "./group.ts";
export { createLoop, type Loop, type LoopOptions } from "./loop.ts";
export { type RunOptions, runProcess } from "./run-process.ts";
export { createService, type Service, type ServiceParts, ServiceState } from "./service.ts";
export { startPart } from "./start-part.ts";
