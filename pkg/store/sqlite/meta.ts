import type { StoreMeta } from "#pkg/store/job-store.ts";
import { type Database, sql } from "./database.ts";
import { displaced } from "./faults.ts";

const READ = sql`SELECT schema_version, oldest_level, deployment_id, key_fingerprint FROM meta`;
const SET_FINGERPRINT = sql`UPDATE meta SET key_fingerprint = :next WHERE key_fingerprint IS :expected`;
const PING = sql`SELECT 1 FROM meta`;

export function readMeta(db: Database): StoreMeta {
  const row = db.get(READ) ?? {};
  return {
    deploymentId: row.deployment_id as string,
    schemaVersion: row.schema_version as number,
    oldestLevel: row.oldest_level as number,
    keyFingerprint: (row.key_fingerprint as string | null) ?? undefined,
  };
}

export function setKeyFingerprint(db: Database, expected: string | undefined, next: string): boolean {
  return db.run(SET_FINGERPRINT, { expected: expected ?? null, next }) > 0;
}

export function ping(db: Database): void {
  if (!db.isInPlace) throw displaced();
  db.get(PING);
}
