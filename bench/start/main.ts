import { call, median, startEmbedded } from "#bench/support/embedded.ts";

const RUNS = 5;

/** From the start of `npm start` to the answer that says COMPLETED, asked for every 20 ms. */
async function run(): Promise<void> {
  const ready: number[] = [];
  const completed: number[] = [];
  for (let i = 0; i < RUNS; i += 1) {
    const cluster = await startEmbedded();
    ready.push(performance.now() - cluster.startedMs);
    const { job_id } = await call<{ job_id: string }>(cluster.url, "SubmitJob", "bench", {
      image_uri: "app",
      entrypoint: "/bin/true",
    });
    for (;;) {
      const { job } = await call<{ job: { status: string } }>(cluster.url, "GetJob", "bench", { job_id });
      if (job.status === "COMPLETED") break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    completed.push(performance.now() - cluster.startedMs);
    await cluster.stop();
  }
  process.stdout.write(`  ready            median ${median(ready).toFixed(0)} ms of ${RUNS} runs\n`);
  process.stdout.write(`  first COMPLETED  median ${median(completed).toFixed(0)} ms of ${RUNS} runs\n`);
}

await run();
