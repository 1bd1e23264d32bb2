import { createService, type Service } from "./service.ts";
import { startPart } from "./start-part.ts";

/**
 * One service of many: started in the order given, drained and stopped in reverse, one after the other, so that each may
 * rely on those before it for as long as it runs. When one fails to start, those already running are stopped.
 */
export function createGroup(name: string, services: readonly Service[]): Service {
  return createService({
    name,
    async start(signal) {
      for (const service of services) await startPart(service, signal);
    },
    async drain(signal) {
      for (const service of services.toReversed()) await service.drain(signal);
    },
    async stop() {
      const faults: unknown[] = [];
      for (const service of services.toReversed()) {
        // One that fails to stop must not keep the others running.
        await service.stop().catch((error: unknown) => faults.push(error));
      }
      throwIfAny(name, faults);
    },
  });
}

/** One service of many that do not rely on each other: started, drained and stopped all at once. */
export function createParallelGroup(name: string, services: readonly Service[]): Service {
  return createService({
    name,
    async start(signal) {
      await Promise.all(services.map((service) => startPart(service, signal)));
    },
    async drain(signal) {
      await Promise.all(services.map((service) => service.drain(signal)));
    },
    async stop() {
      const ends = await Promise.allSettled(services.map((service) => service.stop()));
      throwIfAny(
        name,
        ends.flatMap((end) => (end.status === "rejected" ? [end.reason as unknown] : [])),
      );
    },
  });
}

function throwIfAny(name: string, faults: readonly unknown[]): void {
  if (faults.length > 0) throw new AggregateError(faults, `${name}: ${faults.length} did not stop cleanly`);
}
