import {
  oneOf,
  path,
  readSettings,
  required,
  type SettingsOf,
  text,
  withDefault,
} from "#pkg/config/index.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** Those of the worker's settings that name its store, and nothing else: a migration needs no cloud to run jobs in. */
function storeTable(env: Env) {
  const isSpanner = env.DB_PROVIDER?.trim() === "spanner";
  return {
    DB_PROVIDER: oneOf("sqlite", "spanner"),
    DB_PATH: withDefault(path(), ".jennah/jennah.db"),
    DB_PROJECT_ID: required(text(), isSpanner),
    DB_INSTANCE: required(text(), isSpanner),
    DB_DATABASE: required(text(), isSpanner),
  };
}

export type StoreSettings = SettingsOf<ReturnType<typeof storeTable>>;

/** @throws ConfigError with every fault. */
export function readStoreSettings(env: Env): StoreSettings {
  return readSettings(storeTable(env), env);
}
