import { fileURLToPath } from "node:url";
import { startNode } from "#test/support/node-process.ts";
import type { Failure } from "./jobs.ts";
import type { Misbehaviour } from "./misbehaviour.ts";
import type { Refusal } from "./refusal.ts";

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));

/** What became of the double so far. */
export interface RemoteState {
  readonly jobs: readonly { readonly id: string; readonly state: string; readonly starts: number }[];
  readonly peaks: { readonly mutations: number; readonly reads: number };
  /** Requests that lie stalled. */
  readonly stalled: number;
  /** Calls by method. */
  readonly calls: Readonly<Record<string, number>>;
  /** How many batch jobs were made under each name that a create asked for. */
  readonly made: Readonly<Record<string, number>>;
}

interface Acts {
  misbehave: [Misbehaviour];
  deny: [permission: string, isDenied?: boolean];
  refuseAll: [Refusal | null];
  hold: [id: string];
  release: [id: string];
  delay: [id: string, words: string];
  fail: [id: string, failure: Failure];
  vanish: [id: string];
  hide: [id: string, ms: number];
  lagLists: [ms: number];
  letGo: [];
}

/** The double in a process of its own (`main.ts`). */
export interface RemoteCloud {
  readonly endpoint: string;
  act<A extends keyof Acts>(act: A, ...args: Acts[A]): Promise<void>;
  state(): Promise<RemoteState>;
  stop(): Promise<void>;
}

/** @param spawnIn a folder in which programs are run; without one they are played. */
export async function startRemoteCloud(spawnIn?: string): Promise<RemoteCloud> {
  const child = startNode(MAIN, spawnIn === undefined ? {} : { GCP_SPAWN_IN: spawnIn });
  const { endpoint, control } = JSON.parse(await child.line((line) => line.startsWith("{")));
  return {
    endpoint,
    async act(act, ...args) {
      const response = await fetch(`${control}/${act}`, { method: "POST", body: JSON.stringify(args) });
      if (!response.ok) throw new Error(await response.text());
      await response.body?.cancel();
    },
    state: async () => (await (await fetch(control)).json()) as RemoteState,
    async stop() {
      child.signal("SIGTERM");
      await child.ended;
    },
  };
}
