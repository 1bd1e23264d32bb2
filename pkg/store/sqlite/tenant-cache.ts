/** Tenants remembered at most; past it, all are forgotten and looked up again. */
const MAX_KNOWN = 50_000;

/**
 * Tenants whose rows are known to be committed, so that a submit does not touch them. Rows of tenants are never deleted.
 * What a transaction adds counts inside it at once, and beyond it only when it commits.
 */
export interface TenantCache {
  has(tenantId: string): boolean;
  add(tenantId: string): void;
  /** The transaction, or the savepoint in it, was undone: what was added since is not known. */
  undo(): void;
  committed(): void;
}

export function createTenantCache(): TenantCache {
  const known = new Set<string>();
  const added = new Set<string>();
  return {
    has: (tenantId) => known.has(tenantId) || added.has(tenantId),
    add: (tenantId) => void added.add(tenantId),
    undo: () => added.clear(),
    committed() {
      if (known.size + added.size > MAX_KNOWN) known.clear();
      for (const tenantId of added) known.add(tenantId);
      added.clear();
    },
  };
}
