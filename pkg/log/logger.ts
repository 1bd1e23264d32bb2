import { pino } from "pino";
import pretty from "pino-pretty";
import { serializeError } from "./serialize-error.ts";

export const LogLevel = {
  Debug: "debug",
  Info: "info",
  Warn: "warn",
  Error: "error",
  Silent: "silent",
} as const;
export type LogLevel = (typeof LogLevel)[keyof typeof LogLevel];

export const LogFormat = { Json: "json", Pretty: "pretty" } as const;
export type LogFormat = (typeof LogFormat)[keyof typeof LogFormat];

/** Writes lines. `fields.err` is an error; it is logged with its causes. */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  /** A logger that adds `fields` to each of its lines. */
  child(fields: object): Logger;
}

export interface LogOptions {
  /** Lines below this level are not written. `LOG_LEVEL`. */
  readonly level: LogLevel;
  /** `LOG_FORMAT`. */
  readonly format: LogFormat;
  /** Where lines go; each call is one or more whole lines. Default: standard output, written at once. */
  readonly destination?: { write(lines: string): void };
}

const STDOUT = 1;

/** Control characters but tab and newline, and the bidirectional overrides: what could forge or hide a line on a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this looks for.
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

function escapeUnsafe(text: string): string {
  return text.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Makes a logger. JSON lines carry `level` as a word, `time` in ISO 8601, `msg`; JSON itself escapes control characters. */
export function createLogger(options: LogOptions): Logger {
  const destination = options.destination ?? pino.destination({ dest: STDOUT, sync: true });
  const target = options.format === LogFormat.Pretty ? prettyInto(destination) : destination;
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: serializeError },
    },
    target,
  );
}

function prettyInto(destination: { write(lines: string): void }): { write(line: string): void } {
  const format = pretty.prettyFactory({
    colorize: false,
    singleLine: true,
    translateTime: "SYS:HH:MM:ss.l",
    ignore: "pid,hostname",
  });
  // A newline inside a message was escaped by JSON and comes back in the pretty line; only the last one ends it.
  return {
    write(line) {
      const formatted = format(line);
      destination.write(`${escapeUnsafe(formatted.trimEnd())}\n`);
    },
  };
}
