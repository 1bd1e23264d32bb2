import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/**
 * `npm run bench` runs every benchmark, `npm run bench -- NAME…` those that are named. Each prints what it measures, and
 * on what. Figures are for comparing, side by side in one run; no test asserts one.
 */
const BENCHMARKS: Readonly<Record<string, { readonly what: string; readonly script: string }>> = {
  start: { what: "time from npm start to the first COMPLETED job", script: "start/main.ts" },
  idle: { what: "CPU and memory of an idle cluster", script: "idle/main.ts" },
  submit: { what: "submits per second through the gateway with 64 callers", script: "submit/main.ts" },
  gateway: { what: "CPU of a forwarded call, beside nginx", script: "gateway/main.ts" },
  store: { what: "inserts, writes, pages and claims of the SQLite store", script: "store/single.ts" },
  contention: {
    what: "lease renewals while three processes write to one SQLite file",
    script: "store/contention.ts",
  },
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => BENCHMARKS[name] === undefined);
if (unknown.length > 0) {
  process.stdout.write(`no benchmark is called ${unknown.join(", ")}; there are:\n`);
  for (const [name, { what }] of Object.entries(BENCHMARKS))
    process.stdout.write(`  ${name.padEnd(11)} ${what}\n`);
  process.exit(1);
}
for (const [name, { what, script }] of Object.entries(BENCHMARKS)) {
  if (asked.length > 0 && !asked.includes(name)) continue;
  process.stdout.write(`\n${name}: ${what}\n`);
  const path = fileURLToPath(new URL(script, import.meta.url));
  const [code] = await once(spawn(process.execPath, [path], { stdio: "inherit" }), "exit");
  if (code !== 0) process.exitCode = 1;
}
