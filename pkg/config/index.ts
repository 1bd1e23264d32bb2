/**
 * Typed reading of settings from the environment. A package or a command states its settings once, as a table of readers
 * with defaults; all faults are found in one go and thrown together, each with its setting's name.
 *
 * An empty value counts as not set: `FOO=` in an env file is how people unset things. Values of secrets never appear in
 * an error, nor does what a value holds before an `@`.
 */
export { ConfigError, gatherFaults } from "./config-error.ts";
export { loadEnvFile } from "./env-file.ts";
export { makeFolder } from "./make-folder.ts";
export { holdsCredentials, quoted } from "./quoted.ts";
export { type Reader, readSettings, type SettingsOf } from "./read-settings.ts";
export {
  alias,
  boolean,
  integer,
  list,
  oneOf,
  optional,
  path,
  required,
  seconds,
  secret,
  text,
  withDefault,
} from "./readers.ts";
