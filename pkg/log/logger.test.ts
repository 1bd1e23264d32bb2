import { describe, expect, it } from "vitest";
import { createLogger, LogFormat, LogLevel, type LogOptions } from "./index.ts";

function capture(format: LogOptions["format"]) {
  const lines: string[] = [];
  const logger = createLogger({
    level: LogLevel.Info,
    format,
    destination: { write: (text) => void lines.push(text) },
  });
  return { lines, logger };
}

describe("logger", () => {
  it("writes one JSON line an event, with its fields and its child's", () => {
    const { lines, logger } = capture(LogFormat.Json);
    logger.child({ worker_id: "worker-1" }).info({ job_id: "j" }, "accepted");
    logger.debug({}, "not written");
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({
      level: "info",
      worker_id: "worker-1",
      job_id: "j",
      msg: "accepted",
    });
  });

  it("an error is logged with its causes and without what a driver hung on it", () => {
    const { lines, logger } = capture(LogFormat.Json);
    const cause = Object.assign(new Error("refused"), { code: "ECONNREFUSED", headers: "Bearer token" });
    logger.error({ err: new Error("store down", { cause }) }, "failed");
    expect(lines[0]).not.toContain("token");
    expect(JSON.parse(lines[0] ?? "").err).toMatchObject({
      message: "store down",
      cause: { message: "refused", code: "ECONNREFUSED" },
    });
  });

  it("a cycle of causes ends", () => {
    const { lines, logger } = capture(LogFormat.Json);
    const error = new Error("loop");
    error.cause = error;
    logger.error({ err: error }, "failed");
    expect(lines).toHaveLength(1);
  });

  it("control characters cannot forge a pretty line", () => {
    const { lines, logger } = capture(LogFormat.Pretty);
    logger.info({ name: "a\u001b[2Jb\rc\u202e" }, "got\u001b[31m it");
    expect(lines).toHaveLength(1);
    for (const char of ["\u001b", "\r", "\u202e"]) expect(lines[0]).not.toContain(char);
    expect(lines[0]).toContain("\\u202e");
  });
});
