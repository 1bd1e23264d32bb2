/**
 * The store in one SQLite file, for development and for the embedded default: many processes of one machine share it, and
 * nothing needs to be installed or run beside them.
 *
 * It promises what the port promises, that no lock of another process is ever a caller's error unless it is held for half
 * a minute, and that renewals of leases go before all other writes. It leaves to its user to keep the file on a local disk.
 */
export { createSqliteStore, type SqliteStoreOptions } from "./store.ts";
