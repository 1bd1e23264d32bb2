/**
 * The worker: the API's six RPCs, `/health`, `/ready` and `/metrics` on one port, over a store and the providers of its
 * targets; and its settings.
 *
 * It promises that an answer which names a job id means a committed job, that nothing half-done stays behind a refusal,
 * and that a drain fails no call. It leaves to the engine (ownership, dispatch, tracking) what becomes of a job, and to
 * `cmd/worker` which store and which providers there are.
 */

export { createEngine, type EngineOptions } from "./engine.ts";
export type { Dispatcher, Engine, Foundation, Ownership } from "./ports.ts";
export { readWorkerSettings, type WorkerSettings } from "./settings.ts";
export { createWorker, type Worker, type WorkerOptions } from "./worker.ts";
export { cloudRunName, defaultWorkerId } from "./worker-id.ts";
