/** Thrown when settings are wrong; holds every fault found, each naming its setting and never a secret value. Exit code 78. */
export class ConfigError extends Error {
  readonly faults: readonly string[];
  constructor(faults: readonly string[], options?: ErrorOptions) {
    super(faults.join("\n"), options);
    this.name = "ConfigError";
    this.faults = faults;
  }
}
