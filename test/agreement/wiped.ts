import { openConnection } from "#pkg/store/spanner/connection.ts";
import { storeOptions } from "#test/support/spanner-emulator.ts";

/** All tables but `Tenants`, which the port shows nobody; events go with their jobs. */
const TABLES = ["Jobs", "IdempotencyKeys", "Tombstones", "Workers"];
const TIMEOUT_MS = 10_000;

export interface Wiper {
  /** Leaves the database as its migration left it, for all that the port tells. */
  wipe(): Promise<void>;
  close(): Promise<void>;
}

/** Empties a database of the emulator, which takes far less time than to make another. */
export async function createWiper(database: string): Promise<Wiper> {
  const connection = openConnection(storeOptions(database));
  const session = await connection.createSession(TIMEOUT_MS);
  const forget = { table: "Meta", columns: ["MetaId", "KeyFingerprint"] };
  const values = [{ values: [{ stringValue: "1" }, { nullValue: "NULL_VALUE" as const }] }];
  return {
    async wipe() {
      const request = {
        session: session.name,
        singleUseTransaction: { readWrite: {} },
        mutations: [
          ...TABLES.map((table) => ({ delete: { table, keySet: { all: true } } })),
          { update: { ...forget, values } },
        ],
      };
      await connection.commit(request, TIMEOUT_MS);
    },
    close: () => connection.close(),
  };
}
