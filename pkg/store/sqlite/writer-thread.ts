import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { InvariantError } from "#pkg/errors/index.ts";
import { type CarriedFault, carry } from "./faults.ts";
import { openMigrated } from "./migrate.ts";
import { createTenantCache } from "./tenant-cache.ts";
import { createWriteQueue, type Reply, type Request } from "./write-queue.ts";

/** What the thread is started with. */
export interface WriterData {
  readonly path: string;
  readonly deploymentId: string;
}

export type ToWriter = Request | "close";
export type FromWriter = "open" | { readonly cannotOpen: CarriedFault } | readonly Reply[];

/** The thread that writes: it opens the database, answers, then serves until it is told to close. */
function main(port: MessagePort, { path, deploymentId }: WriterData): void {
  const send = (message: FromWriter) => port.postMessage(message);
  let db: ReturnType<typeof openMigrated>;
  try {
    db = openMigrated(path, deploymentId);
  } catch (error) {
    send({ cannotOpen: carry(error) });
    return;
  }

  const arrived: Request[] = [];
  let isClosing = false;
  const heed = (message: ToWriter) => {
    if (message === "close") isClosing = true;
    else arrived.push(message);
  };
  const receive = (): Request | undefined => {
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      heed(next.message as ToWriter);
    }
    return arrived.shift();
  };
  const queue = createWriteQueue({ db, tenants: createTenantCache() }, receive, send);
  port.on("message", (message: ToWriter) => {
    heed(message);
    queue.serve();
    if (!isClosing) return;
    db.close();
    port.close();
  });
  send("open");
}

if (parentPort === null) throw new InvariantError("writer-thread.ts runs in a worker thread alone");
main(parentPort, workerData as WriterData);
