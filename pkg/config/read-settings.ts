import type { z } from "zod";
import { ConfigError } from "./config-error.ts";
import { quoted } from "./quoted.ts";

/** How one setting is read. */
export interface Reader<T> {
  /** Names that are looked at in turn; the first that is set wins. Empty: the setting's own name alone. */
  readonly aliases: readonly string[];
  /** What the text of the environment must be, and what it becomes. `undefined` comes in when nothing is set. */
  readonly schema: z.ZodType<T>;
  /** The value must not be shown in an error. */
  readonly isSecret: boolean;
}

/** What a table of readers reads. */
export type SettingsOf<R extends Record<string, Reader<unknown>>> = {
  readonly [K in keyof R]: R[K] extends Reader<infer T> ? T : never;
};

/** Kubernetes sets `<SERVICE>_PORT=tcp://10.0.0.1:80` for each Service of the namespace, also for one called `worker`. */
const KUBERNETES_LINK = /^(tcp|udp|sctp):\/\//;

/**
 * Reads all settings of a table whose keys are the names of environment variables.
 * @throws ConfigError with every fault, in the table's order.
 */
export function readSettings<R extends Record<string, Reader<unknown>>>(
  table: R,
  env: Readonly<Record<string, string | undefined>>,
): SettingsOf<R> {
  const faults: string[] = [];
  const settings: Record<string, unknown> = {};
  for (const [key, reader] of Object.entries(table)) {
    const name = [key, ...reader.aliases].find((each) => isSet(env[each])) ?? key;
    const given = isSet(env[name]) ? env[name].trim() : undefined;
    const result = reader.schema.safeParse(given);
    if (result.success) settings[key] = result.data;
    else
      faults.push(`${name}: ${result.error.issues.map((i) => i.message).join("; ")}${quote(given, reader)}`);
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return settings as SettingsOf<R>;
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value.trim() !== "";
}

function quote(given: string | undefined, reader: Reader<unknown>): string {
  if (given === undefined || reader.isSecret) return "";
  if (KUBERNETES_LINK.test(given)) {
    return `, not ${quoted(given)}: Kubernetes sets this variable for a Service of that name; set enableServiceLinks: false on the pod, or name the Service differently`;
  }
  return `, not ${quoted(given)}`;
}
