import type { BatchProvider } from "#pkg/batch/index.ts";
import type { Clock, Entropy } from "#pkg/clock/index.ts";
import { InvariantError } from "#pkg/errors/index.ts";
import type { Logger } from "#pkg/log/index.ts";
import type { WorkerSettings } from "#pkg/worker/index.ts";

/** Those whose adapters this release has. */
export const PROVIDERS = ["gcp", "local"] as const;

/**
 * The providers that `BATCH_PROVIDER` names: one for each target that the worker serves. Their adapter is loaded only now,
 * so that a local worker starts without paying for three clouds.
 * @throws StartupError when what the settings name cannot be used.
 */
export async function chooseProviders(
  settings: WorkerSettings,
  tools: { readonly clock: Clock; readonly entropy: Entropy; readonly log: Logger },
): Promise<readonly BatchProvider[]> {
  switch (settings.BATCH_PROVIDER) {
    case "local": {
      const { createLocalProvider } = await import("#pkg/batch/local/index.ts");
      return [createLocalProvider({ workdir: settings.LOCAL_WORKDIR, ...tools })];
    }
    case "gcp": {
      const { createGcpProvider } = await import("#pkg/batch/gcp/index.ts");
      return [
        createGcpProvider({
          projectId: given(settings.BATCH_PROJECT_ID, "BATCH_PROJECT_ID"),
          region: given(settings.BATCH_REGION, "BATCH_REGION"),
          endpoint: settings.BATCH_ENDPOINT,
          serviceAccount: settings.BATCH_SERVICE_ACCOUNT,
          ...tools,
        }),
      ];
    }
    default:
      throw new InvariantError(`${settings.BATCH_PROVIDER} was not refused with the settings`);
  }
}

/** A setting that the table of settings requires for the provider that was chosen. */
function given(value: string | undefined, name: string): string {
  if (value === undefined) throw new InvariantError(`${name} was read as required`);
  return value;
}
