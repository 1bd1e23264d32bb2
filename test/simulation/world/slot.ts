import type { Kit } from "./kit.ts";
import type { WorkerSetting } from "./setting.ts";
import { createSimWorker, type SimWorker } from "./worker.ts";

/** The place of one worker: starts it, and starts it again when it is gone. */
export interface Slot {
  readonly setting: WorkerSetting;
  /** Who runs now; undefined while nobody does. */
  readonly worker: SimWorker | undefined;
  start(): void;
  /** Kills who runs, and starts it again after so long. @param workerId the next one's id, if it is another. */
  crash(restartAfterMs: number, workerId?: string): void;
  /** Ends who runs in order, and starts it again after so long. */
  drain(restartAfterMs: number): void;
  /** Kills who runs, and starts nobody again. */
  close(): void;
}

export interface SlotOptions {
  readonly kit: Kit;
  readonly setting: WorkerSetting;
  /** The machine, if not the setting's own. */
  readonly machine?: string;
  /** Told of each process that begins. */
  readonly onBegun: (worker: SimWorker) => void;
}

/** What a supervisor waits before it starts again what ended by itself. */
const RESTART_MS = 1_000;

export function createSlot({ kit, setting, machine, onBegun }: SlotOptions): Slot {
  let worker: SimWorker | undefined;
  let workerId = setting.name;
  let restartMs = RESTART_MS;
  let isClosed = false;

  function start(): void {
    if (isClosed) return;
    const process = kit.process(machine ?? setting.machine, setting.name);
    const instance = Buffer.from(process.entropy.bytes(4)).toString("hex");
    const next = createSimWorker({
      kit,
      setting,
      process,
      workerId,
      instance,
      onExit: (code) => gone(next, `exits ${code}`),
    });
    worker = next;
    kit.trace.note(process.name, () => `starts as ${workerId}, instance ${instance}`);
    onBegun(next);
    next.start();
  }

  function gone(which: SimWorker, how: string): void {
    kit.trace.note(which.process.name, () => how);
    which.process.kill();
    if (worker !== which) return;
    worker = undefined;
    kit.agenda.at(kit.agenda.nowMs + restartMs, start);
    restartMs = RESTART_MS;
  }

  return {
    setting,
    get worker() {
      return worker;
    },
    start,
    crash(restartAfterMs, nextId) {
      if (worker === undefined) return;
      restartMs = restartAfterMs;
      workerId = nextId ?? workerId;
      gone(worker, "is killed");
    },
    close() {
      isClosed = true;
      if (worker !== undefined) gone(worker, "is killed for good");
    },
    drain(restartAfterMs) {
      if (worker === undefined) return;
      restartMs = restartAfterMs;
      kit.trace.note(worker.process.name, () => "is told to leave");
      worker.drain();
    },
  };
}
