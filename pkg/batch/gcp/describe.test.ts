import { expect, test } from "vitest";
import { createManualClock } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import type { Connection } from "./connection.ts";
import { createReader } from "./describe.ts";
import { CallError } from "./faults.ts";

const never = new AbortController().signal;

test("lists that were denied are tried again after ten minutes, and warned of once", async () => {
  const clock = createManualClock();
  const warnings: string[] = [];
  const log = createLogger({
    level: LogLevel.Warn,
    format: LogFormat.Json,
    destination: { write: (line) => void warnings.push(line) },
  });
  const calls: string[] = [];
  const connection: Connection = {
    call(method) {
      calls.push(method);
      const isList = method === "listJobs";
      const permission = isList ? "batch.jobs.list" : undefined;
      return Promise.reject(
        new CallError(isList ? "PERMISSION_DENIED" : "NOT_FOUND", "no", { wasSent: true, permission }),
      );
    },
    checkCredentials: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };
  const reader = createReader(connection, { projectId: "p", region: "r" }, { clock, log });
  const id = "j00000000-0197a2b4-0000-7000-8000-000000000000-1";
  const ask = () => reader.describe([id], never);

  await ask();
  await ask();
  expect(calls).toEqual(["listJobs", "getJob", "getJob"]);
  expect(reader.maxDescribe).toBe(1);
  await clock.advance(600_000);
  expect(reader.maxDescribe).toBe(100);
  await ask();
  expect(calls.slice(3)).toEqual(["listJobs", "getJob"]);
  expect(warnings).toHaveLength(1);
});
