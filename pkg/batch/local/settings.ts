import { boolean, oneOf, text, withDefault } from "#pkg/config/index.ts";

/** How the local provider runs a program. `process` is a process group of this machine; containers come later. */
export const LocalRuntime = { Process: "process" } as const;
export type LocalRuntime = (typeof LocalRuntime)[keyof typeof LocalRuntime];

/** The settings of a worker with the local provider. */
export const LOCAL_SETTINGS = {
  LOCAL_RUNTIME: withDefault(oneOf(LocalRuntime.Process), LocalRuntime.Process),
  /** Where attempts have their folders; relative to the worker's working directory. */
  LOCAL_WORKDIR: withDefault(text(), ".jennah/local"),
  /** Lets a worker that runs any caller's programs listen on more than loopback. */
  LOCAL_ALLOW_REMOTE: withDefault(boolean(), false),
};
