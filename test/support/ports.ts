import { once } from "node:events";
import { createServer } from "node:net";

/**
 * Below the range from which systems take ports for outgoing connections (Linux from 32,768, others from 49,152): none is
 * taken by a client while the process that shall listen on it is down.
 */
const LOWEST = 16_000;
/** Each of the workers that run tests side by side has a range of its own. */
const RANGE = 2_000;
const RANGES = 8;

const lowest = LOWEST + (Number(process.env.VITEST_POOL_ID ?? 0) % RANGES) * RANGE;
// A file of tests is a process: it goes on elsewhere than the last one, whose sockets may linger.
let next = (process.pid * 53) % RANGE;

/**
 * Ports in a row that nothing listens on and no other test is given. For processes that must be started again on the same
 * port; whoever can, listens on port 0.
 */
export async function freePorts(count: number): Promise<number[]> {
  for (let tried = 0; tried < RANGE; tried += count) {
    const from = next + count > RANGE ? 0 : next;
    next = from + count;
    const ports = Array.from({ length: count }, (_, index) => lowest + from + index);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return ports;
  }
  throw new Error(`no ${count} ports in a row are free from ${lowest} to ${lowest + RANGE - 1}`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port);
    await once(server, "listening");
  } catch {
    return false;
  }
  await new Promise((resolve) => server.close(resolve));
  return true;
}
