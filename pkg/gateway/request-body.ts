import type { Readable } from "node:stream";

/** Where a body goes. */
export interface BodySink {
  /** False asks to wait until `LiveBody.resume` is called. */
  write(chunk: Buffer): boolean;
  end(): void;
}

/** A body that is passed on while it comes. */
export interface LiveBody {
  /**
   * Sends everything from the first byte to `sink`, and what comes from now on. Returns what takes the sink off again;
   * what comes then waits. One sink at a time: the next one puts the last one off.
   */
  attach(sink: BodySink): () => void;
  /** The sink has room again. */
  resume(): void;
  /** Keeps nothing any more: there will be no repeat. */
  release(): void;
  /** Everything that came is kept, so that another sink can have it from the first byte. */
  readonly isKept: boolean;
}

/** @param keepBytes how much is kept for a repeat. */
export function createLiveBody(source: Readable, keepBytes: number): LiveBody {
  const kept: Buffer[] = [];
  let keptBytes = 0;
  let isKept = true;
  let hasEnded = false;
  let sink: BodySink | undefined;

  source.pause();
  source.on("data", (chunk: Buffer) => {
    keep(chunk);
    // Without a sink nothing flows but what was on its way when the last one left; it is kept, or the call is over.
    if (sink !== undefined && !sink.write(chunk)) source.pause();
  });
  source.on("end", () => {
    hasEnded = true;
    sink?.end();
  });

  function keep(chunk: Buffer): void {
    if (!isKept) return;
    keptBytes += chunk.length;
    if (keptBytes > keepBytes) release();
    else kept.push(chunk);
  }

  function release(): void {
    isKept = false;
    kept.length = 0;
  }

  return {
    attach(next) {
      sink = next;
      let hasRoom = true;
      for (const chunk of kept) hasRoom = next.write(chunk);
      if (hasEnded) next.end();
      else if (hasRoom) source.resume();
      return () => {
        if (sink !== next) return;
        sink = undefined;
        source.pause();
      };
    },
    resume() {
      if (sink !== undefined) source.resume();
    },
    release,
    get isKept() {
      return isKept;
    },
  };
}

/**
 * Reads a body to its end and hands it over in one piece; calls `onTooLarge` instead, once, when it is longer than
 * `maxBytes`. A source that never ends calls neither.
 */
export function readWhole(
  source: Readable,
  maxBytes: number,
  onWhole: (body: Buffer) => void,
  onTooLarge: () => void,
): void {
  let first: Buffer | undefined;
  let more: Buffer[] | undefined;
  let bytes = 0;

  function onData(chunk: Buffer): void {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      source.off("data", onData).off("end", onEnd);
      onTooLarge();
    } else if (first === undefined) {
      first = chunk;
    } else {
      more ??= [first];
      more.push(chunk);
    }
  }

  function onEnd(): void {
    onWhole(more === undefined ? (first ?? EMPTY) : Buffer.concat(more, bytes));
  }

  source.on("data", onData).on("end", onEnd);
}

const EMPTY = Buffer.alloc(0);
