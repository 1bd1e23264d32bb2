/**
 * The store in a Cloud Spanner database, for deployments on Google Cloud: any number of workers, in any number of zones.
 *
 * It promises what the port promises, that every operation ends within a bounded time whatever Spanner does, that an
 * aborted transaction costs milliseconds and not seconds, and that it serves again after an outage without a restart. It
 * leaves the schema to `npm run migrate`, and the size of the instance to its operator.
 */
export { type MigrateOptions, type MigrationProgress, migrate } from "./migrate.ts";
export { createSpannerStore, type SpannerStoreOptions } from "./store.ts";
