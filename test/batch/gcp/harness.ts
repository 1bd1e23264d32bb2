import type { BatchHarness, Work } from "#pkg/batch/conformance/index.ts";
import { createGcpProvider, type GcpProviderOptions } from "#pkg/batch/gcp/index.ts";
import type { CreateRequest } from "#pkg/batch/index.ts";
import { systemClock } from "#pkg/clock/index.ts";
import { createLogger, LogFormat, LogLevel } from "#pkg/log/index.ts";
import { type GcpCloud, type GcpCloudOptions, startGcpCloud } from "#test/clouds/gcp/server.ts";

const silent = createLogger({ level: LogLevel.Silent, format: LogFormat.Json });
export const PLACE = { projectId: "test-project", region: "us-central1" };

/** The double, over the wire. */
export function startCloud(more: Partial<GcpCloudOptions> = {}): Promise<GcpCloud> {
  return startGcpCloud({ clock: systemClock, ...PLACE, ...more });
}

/** A provider that speaks to the double. Not started. */
export function providerAt(endpoint: string, more: Partial<GcpProviderOptions> = {}) {
  return createGcpProvider({
    ...PLACE,
    endpoint,
    serviceAccount: "jobs@test-project.iam.gserviceaccount.com",
    clock: systemClock,
    log: silent,
    ...more,
  });
}

/** A cloud and a started provider at it. */
export interface World {
  readonly cloud: GcpCloud;
  readonly provider: ReturnType<typeof providerAt>;
  /** Lines that the provider logged. */
  readonly lines: readonly string[];
  close(): Promise<void>;
}

export async function openWorld(
  more: { readonly cloud?: Partial<GcpCloudOptions>; readonly provider?: Partial<GcpProviderOptions> } = {},
): Promise<World> {
  const cloud = await startCloud(more.cloud);
  const lines: string[] = [];
  const destination = { write: (text: string) => void lines.push(text) };
  const log = createLogger({ level: LogLevel.Info, format: LogFormat.Json, destination });
  const provider = providerAt(cloud.endpoint, { log, ...more.provider });
  return {
    cloud,
    provider,
    lines,
    async close() {
      await provider.stop();
      await cloud.stop();
    },
  };
}

/** The double plays what the suite's programs do; what they were started with is what came over the wire. */
export async function openGcpHarness(): Promise<BatchHarness> {
  const cloud = await startCloud();
  return {
    async open() {
      const provider = providerAt(cloud.endpoint);
      await provider.start();
      return { provider, close: () => provider.stop() };
    },
    program(work: Work) {
      switch (work.kind) {
        case "exit":
          return { entrypoint: "/bin/sh", commands: ["-c", `exit ${work.code}`] };
        case "forever":
          return { entrypoint: "/bin/sleep", commands: ["300"] };
        default:
          return { entrypoint: "/bin/echo", commands: work.arguments };
      }
    },
    starts: async (batchJobId) => cloud.starts(batchJobId),
    async observed(batchJobId) {
      const program = cloud.program(batchJobId);
      if (program === undefined) throw new Error(`${batchJobId} is not there`);
      return { arguments: program.commands, env: program.env };
    },
    async createUnstarted(request: CreateRequest) {
      cloud.hold(request.batchJobId);
      const provider = providerAt(cloud.endpoint);
      await provider.start();
      cloud.misbehave({ method: "CreateJob", after: { status: "UNAVAILABLE", words: "the answer is lost" } });
      const outcome = await provider.create(request, {
        assertTrusted: () => undefined,
        signal: new AbortController().signal,
      });
      if (outcome.kind !== "unknown") throw new Error("the answer was to be lost");
      await provider.stop();
    },
    close: () => cloud.stop(),
  };
}
