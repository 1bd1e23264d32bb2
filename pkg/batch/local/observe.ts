import { open } from "node:fs/promises";
import { join } from "node:path";
import type { BatchJobState } from "#pkg/batch/index.ts";
import { type AttemptFacts, stateOf } from "./attempt-state.ts";
import { absentIsUndefined, type Folders, namesIn, readRecord } from "./folder.ts";
import type { ProcessTable } from "./process-table.ts";
import { type ExitRecord, type PidRecord, parseExit, parsePid } from "./records.ts";

/** How many folders are read at once: enough to keep the thread pool busy, few enough for the limit on open files. */
const READ_AT_ONCE = 64;
const LAST_WORDS_BYTES = 512;
const LAST_WORDS_CHARS = 200;
const UNSTARTABLE_CODES: readonly number[] = [126, 127];

/** Where attempts stand. Those without a folder, and removed ones, are not in the answer. */
export interface Observer {
  /** @throws UnavailableError when the workdir cannot be read. */
  states(batchJobIds: readonly string[], signal?: AbortSignal): Promise<ReadonlyMap<string, BatchJobState>>;
  facts(batchJobId: string): Promise<AttemptFacts | undefined>;
}

export function createObserver(folders: Folders, processes: ProcessTable): Observer {
  async function readAll(ids: readonly string[], signal?: AbortSignal): Promise<readonly AttemptFacts[]> {
    const found: AttemptFacts[] = [];
    for (let from = 0; from < ids.length; from += READ_AT_ONCE) {
      signal?.throwIfAborted();
      const group = await Promise.all(ids.slice(from, from + READ_AT_ONCE).map(read));
      found.push(...group.filter((each) => each !== undefined));
    }
    return found;
  }

  async function read(id: string): Promise<AttemptFacts | undefined> {
    const folder = folders.pathOf(id);
    const names = folder === undefined ? undefined : await namesIn(folder);
    if (folder === undefined || names === undefined) return undefined;
    const pid = names.has("pid") ? await readRecord(join(folder, "pid")) : undefined;
    const exit = names.has("exit") ? await readRecord(join(folder, "exit")) : undefined;
    const exitRecord = exit && (parseExit(exit.text) ?? "torn");
    return {
      batchJobId: id,
      isRemoved: names.has("removed"),
      pid: pid && (parsePid(pid.text) ?? "torn"),
      exit: exitRecord,
      isAlive: false,
      isStopping: names.has("stopping"),
      startedAtMs: pid?.atMs,
      endedAtMs: exit?.atMs,
      lastWords: isUnstartable(exitRecord) ? await lastLine(join(folder, "output")) : undefined,
    };
  }

  /** Looks at processes after the folders, then again at the folders of the dead: an end is recorded before the death. */
  async function observe(ids: readonly string[], signal?: AbortSignal): Promise<readonly AttemptFacts[]> {
    const first = await readAll(ids, signal);
    const open = first.map(openProcess).filter((each) => each !== undefined);
    const alive = await processes.startTimes(open.map((each) => each.pid));
    const isAlive = (facts: AttemptFacts) => {
      const process = openProcess(facts);
      return (
        process !== undefined &&
        process.bootId === processes.bootId &&
        alive.get(process.pid) === process.startTime
      );
    };
    const judged = first.map((facts) => (isAlive(facts) ? { ...facts, isAlive: true } : facts));
    const dead = judged.filter((facts) => openProcess(facts) !== undefined && !facts.isAlive);
    if (dead.length === 0) return judged;
    const again = new Map(
      (await readAll(dead.map(({ batchJobId }) => batchJobId))).map((f) => [f.batchJobId, f]),
    );
    return judged.map((facts) => again.get(facts.batchJobId) ?? facts);
  }

  return {
    async states(ids, signal) {
      const states = (await observe(ids, signal)).map(stateOf).filter((each) => each !== undefined);
      return new Map(states.map((state) => [state.batchJobId, state]));
    },
    async facts(id) {
      return (await observe([id]))[0];
    },
  };
}

/** The process that should live, as long as no end is recorded. */
function openProcess(facts: AttemptFacts): Extract<PidRecord, { kind: "process" }> | undefined {
  const { pid } = facts;
  if (facts.exit !== undefined || facts.isRemoved || pid === undefined || pid === "torn") return undefined;
  return pid.kind === "process" ? pid : undefined;
}

function isUnstartable(exit: ExitRecord | "torn" | undefined): boolean {
  return exit !== undefined && exit !== "torn" && UNSTARTABLE_CODES.includes(exit.code);
}

async function lastLine(path: string): Promise<string | undefined> {
  return absentIsUndefined(async () => {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      const start = Math.max(0, size - LAST_WORDS_BYTES);
      const { buffer, bytesRead } = await file.read(
        Buffer.alloc(LAST_WORDS_BYTES),
        0,
        LAST_WORDS_BYTES,
        start,
      );
      const lines = buffer.subarray(0, bytesRead).toString("utf8").trim().split("\n");
      return lines.at(-1)?.slice(-LAST_WORDS_CHARS);
    } finally {
      await file.close();
    }
  });
}
