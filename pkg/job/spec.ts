/** The one kind of work of today. An open string in rows and on the wire. */
export const KIND_CONTAINER = "container";

/** Figures that replace those of a profile; undefined leaves the profile's. */
export interface ResourceOverride {
  readonly cpuMillis?: number;
  readonly memoryMib?: number;
  readonly maxRunDurationSeconds?: number;
  readonly gpuCount?: number;
  readonly gpuType?: string;
}

/**
 * What the caller asked for, with defaults filled in and every check of the design's error table passed. Env values are
 * not part of it: a spec may be stored, logged and returned. `""` and 0 mean "not given" as on the wire.
 */
export interface JobSpec {
  /** Container image reference. */
  readonly imageUri: string;
  /** One program; "" leaves the image's own. */
  readonly entrypoint: string;
  /** Arguments of the program. */
  readonly commands: readonly string[];
  /** Names of the environment variables, sorted. */
  readonly envNames: readonly string[];
  /** Display name, at most 63 characters; may be "". */
  readonly name: string;
  readonly resourceProfile: ProfileName;
  readonly resourceOverride?: ResourceOverride;
  /** The provider's name of a machine type; "" lets it choose. */
  readonly machineType: string;
  /** GB; 0 takes the provider's default. */
  readonly bootDiskSizeGb: number;
  readonly useSpotVms: boolean;
  readonly serviceAccount: string;
  /** How many failed attempts are followed by another. 0 to 10. */
  readonly maxRetries: number;
  /** 0 to 10, higher first. */
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  /** The target that the request itself named; "" where it named none. The row's `target` is where the job runs. */
  readonly requestedTarget: string;
  /** Not started before this moment; epoch milliseconds. Undefined: at once. */
  readonly notBeforeMs?: number;
}

/** What one attempt may use. */
export interface Resources {
  /** Thousandths of a vCPU. */
  readonly cpuMillis: number;
  readonly memoryMib: number;
  /** From the start of the attempt's program, in seconds. */
  readonly maxRunDurationSeconds: number;
  readonly gpuCount: number;
  /** The provider's own words; "" is its choice. */
  readonly gpuType: string;
}

function profile(cpuMillis: number, memoryMib: number, maxRunDurationSeconds: number): Resources {
  return { cpuMillis, memoryMib, maxRunDurationSeconds, gpuCount: 0, gpuType: "" };
}

/** The resource profiles by name. `medium` is the default. */
export const PROFILES = {
  small: profile(1000, 2048, 1800),
  medium: profile(2000, 4096, 3600),
  large: profile(4000, 8192, 7200),
  xlarge: profile(8000, 16384, 14400),
} as const;
export type ProfileName = keyof typeof PROFILES;

/** The figures of the spec's profile with its overrides applied. */
export function resourcesOf(spec: Pick<JobSpec, "resourceProfile" | "resourceOverride">): Resources {
  return { ...PROFILES[spec.resourceProfile], ...spec.resourceOverride };
}
