/** Thrown when settings are wrong; holds every fault found, each naming its setting and never a secret value. Exit code 78. */
export class ConfigError extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[], options?: ErrorOptions) {
    super(faults.join("\n"), options);
    this.name = "ConfigError";
    this.faults = faults;
  }
}

/** What `read` reads; where that fails its faults join the others, to be thrown with them, and undefined stands in. */
export function gatherFaults<T>(faults: string[], read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    faults.push(...error.faults);
    return undefined;
  }
}
