import { Worker } from "node:worker_threads";
import type { Logger } from "#pkg/log/index.ts";
import { delivered, unavailable } from "./faults.ts";
import type { ArgumentsOf, OperationName, ResultOf } from "./operations.ts";
import type { FromWriter, ToWriter, WriterData } from "./writer-thread.ts";

/** This side of the thread that writes. */
export interface Writer {
  /** Runs an operation there. Rejects with `UnavailableError` when the thread has ended. */
  call<N extends OperationName>(name: N, ...args: ArgumentsOf<N>): Promise<ResultOf<N>>;
  /** Why nothing can be written any more; undefined while it can. */
  readonly fault: Error | undefined;
  /** Resolves when what was called is answered and the database is closed. */
  close(): Promise<void>;
}

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Starts the thread and waits until it has opened the database. A thread, because a commit waits for the disk, and for
 * other processes' commits: on the main thread that held the event loop for up to a second.
 *
 * @throws StartupError, UnavailableError as `openMigrated`.
 */
export async function startWriter(data: WriterData, log: Logger): Promise<Writer> {
  // Flags of this process (a debugger's port, a test runner's hooks) are not the thread's.
  const thread = new Worker(new URL("./writer-thread.ts", import.meta.url), {
    workerData: data,
    execArgv: [],
  });
  const pending = new Map<number, Pending>();
  let lastId = 0;
  let ended: Error | undefined;
  let isClosing = false;
  const exited = new Promise<void>((resolve) => {
    thread.on("exit", () => {
      ended ??= unavailable("it is closed");
      for (const { reject } of pending.values()) reject(ended);
      pending.clear();
      if (!isClosing) log.error({ err: ended }, "the store's writing thread has ended");
      resolve();
    });
  });
  thread.on("error", (error) => {
    ended = unavailable("its writing thread has failed", error);
  });

  const opened = Promise.withResolvers<void>();
  thread.on("message", (message: FromWriter) => {
    if (message === "open") return opened.resolve();
    if ("cannotOpen" in message) {
      // It ends now, perhaps before anybody has heard why: no end to tell of beside.
      isClosing = true;
      return opened.reject(delivered(message.cannotOpen));
    }
    for (const reply of message) {
      const waiting = pending.get(reply.id);
      pending.delete(reply.id);
      if (reply.ok) waiting?.resolve(reply.value);
      else waiting?.reject(delivered(reply.fault));
    }
  });
  void exited.then(() => opened.reject(ended));
  try {
    await opened.promise;
  } catch (error) {
    isClosing = true;
    await thread.terminate();
    throw error;
  }

  return {
    get fault() {
      return ended;
    },
    call(name, ...args) {
      return new Promise((resolve, reject) => {
        if (ended !== undefined) return reject(ended);
        const id = ++lastId;
        // The reply carries what the operation of this name returned.
        pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
        post({ id, name, args } as unknown as ToWriter);
      });
    },
    async close() {
      if (!isClosing && ended === undefined) post("close");
      isClosing = true;
      await exited;
    },
  };

  function post(message: ToWriter): void {
    thread.postMessage(message);
  }
}
