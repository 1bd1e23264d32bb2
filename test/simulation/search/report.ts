import type { Clock } from "#pkg/clock/index.ts";
import type { SearchEnd } from "./search.ts";

const EVERY_MS = 1_000;

/** Tells on standard error how far a search is; on a terminal in one line, elsewhere seldom. */
export function createProgress(clock: Clock, seeds: number): { show(soFar: SearchEnd): void; end(): void } {
  const isTerminal = process.stderr.isTTY;
  const startedMs = clock.monotonicMs();
  let shownMs = startedMs;
  return {
    show(soFar) {
      const nowMs = clock.monotonicMs();
      if (nowMs - shownMs < (isTerminal ? EVERY_MS : 15 * EVERY_MS)) return;
      shownMs = nowMs;
      const rate = (soFar.seeds / (nowMs - startedMs)) * 1000;
      const left = Math.ceil((seeds - soFar.seeds) / rate);
      const text = `${number(soFar.seeds)} of ${number(seeds)} seeds, ${rate.toFixed(0)} a second, ${left} s left`;
      process.stderr.write(isTerminal ? `\r\x1b[K${text}` : `${text}\n`);
    },
    end() {
      if (isTerminal) process.stderr.write("\r\x1b[K");
    },
  };
}

/** What a search came to, everything that it did to the system, and what the system did. */
export function summaryOf(end: SearchEnd, tookMs: number): string {
  const hours = number(Math.round(end.simulatedMs / 3_600_000));
  const rate = (end.seeds / (tookMs / 1000)).toFixed(0);
  const lines = [
    `${number(end.seeds)} seeds in ${(tookMs / 1000).toFixed(1)} s: ${rate} schedules a second, ${hours} simulated hours, ${number(end.acts)} acts`,
    "",
    "What befell them:",
    ...columnsOf(end.counts),
    "",
    "How often each promise was put to the test:",
    ...columnsOf(end.tests),
    "",
    "What the jobs' histories tell:",
    ...columnsOf(end.events),
    "",
    end.failure === undefined
      ? "Every promise held."
      : `A promise was broken, first by seed ${end.failure.seed}.`,
    "",
  ];
  return lines.join("\n");
}

/** What never came about is told by its name last. */
function columnsOf(counts: ReadonlyMap<string, number>): readonly string[] {
  const sorted = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  const came = sorted.filter(([, count]) => count > 0);
  const never = sorted.filter(([, count]) => count === 0).map(([kind]) => kind);
  const width = Math.max(0, ...came.map(([kind]) => kind.length));
  return [
    ...came.map(([kind, count]) => `  ${kind.padEnd(width)}  ${number(count).padStart(11)}`),
    ...(never.length > 0 ? [`  never: ${never.join("; ")}`] : []),
  ];
}

function number(value: number): string {
  return value.toLocaleString("en");
}
