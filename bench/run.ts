import { fileURLToPath } from "node:url";

/**
 * `npm run bench` runs every benchmark, `npm run bench -- NAME…` those that are named. Each prints what it measures, and
 * on what. Figures are for comparing, side by side in one run; no test asserts one.
 */
const BENCHMARKS: Readonly<Record<string, string>> = {
  start: "time from npm start to the first COMPLETED job",
  idle: "CPU and memory of an idle cluster",
  submit: "submits per second through the gateway with 64 callers",
  gateway: "CPU of a forwarded call, beside nginx",
  store: "inserts, claims and renewals of the SQLite store",
};

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => BENCHMARKS[name] === undefined);
if (unknown.length > 0) {
  process.stdout.write(`no benchmark is called ${unknown.join(", ")}; there are:\n`);
  for (const [name, what] of Object.entries(BENCHMARKS))
    process.stdout.write(`  ${name.padEnd(8)} ${what}\n`);
  process.exit(1);
}
for (const name of asked.length > 0 ? asked : Object.keys(BENCHMARKS)) {
  process.stdout.write(`\n${name}: ${BENCHMARKS[name]}\n`);
  const module: { readonly run: () => Promise<void> } = await import(
    fileURLToPath(new URL(`./${name}/main.ts`, import.meta.url))
  );
  await module.run();
}
