/** Tenants remembered at most; past it, all are forgotten and looked up again. */
const MAX_KNOWN = 50_000;

/** Tenants whose rows are known to be committed, so that a submit does not touch them. Rows of tenants are never deleted. */
export interface TenantCache {
  has(tenantId: string): boolean;
  /** Their rows are committed. */
  add(tenantIds: Iterable<string>): void;
}

export function createTenantCache(): TenantCache {
  const known = new Set<string>();
  return {
    has: (tenantId) => known.has(tenantId),
    add(tenantIds) {
      if (known.size > MAX_KNOWN) known.clear();
      for (const tenantId of tenantIds) known.add(tenantId);
    },
  };
}
