import { InvariantError } from "#pkg/errors/index.ts";
import type { StoreMeta } from "#pkg/store/job-store.ts";
import type { Database } from "./database.ts";
import type { Reader } from "./reader.ts";
import { integer, type Row, text } from "./values.ts";

/** The one row. */
export const META_KEY = { MetaId: integer(1) };

async function readRow(db: Reader, columns: readonly string[]): Promise<Row | undefined> {
  const [row] = await db.read("Meta", columns, [[META_KEY.MetaId]]);
  return row;
}

/** Undefined where the first migration has not come to its end. */
export async function findMeta(db: Reader): Promise<StoreMeta | undefined> {
  const row = await readRow(db, ["SchemaVersion", "OldestLevel", "DeploymentId", "KeyFingerprint"]);
  return (
    row && {
      deploymentId: row.DeploymentId as string,
      schemaVersion: row.SchemaVersion as number,
      oldestLevel: row.OldestLevel as number,
      keyFingerprint: (row.KeyFingerprint as string | null) ?? undefined,
    }
  );
}

export async function readMeta(db: Reader): Promise<StoreMeta> {
  const meta = await findMeta(db);
  if (meta === undefined) throw new InvariantError("a store opens only where its row of Meta is");
  return meta;
}

export async function setKeyFingerprint(
  db: Database,
  expected: string | undefined,
  next: string,
): Promise<boolean> {
  return await db.transact(async (transaction) => {
    const { keyFingerprint } = await readMeta(transaction);
    if (keyFingerprint !== expected) return false;
    transaction.update("Meta", { ...META_KEY, KeyFingerprint: text(next) });
    return true;
  });
}

export async function readDataKey(db: Reader): Promise<Uint8Array> {
  return (await readRow(db, ["DataKey"]))?.DataKey as Uint8Array;
}

export async function ping(db: Reader): Promise<void> {
  await readRow(db, ["MetaId"]);
}
