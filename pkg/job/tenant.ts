import { type CallerError, InvalidArgumentError, UnauthenticatedError } from "#pkg/errors/index.ts";

/** The header that names the tenant of a call. */
export const TENANT_HEADER = "x-tenant-id";

const TENANT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * What is wrong with a tenant id, or undefined when it is one: 1 to 64 of `[A-Za-z0-9._-]`, beginning with a letter or
 * digit. The gateway and every worker ask here, before a body is read.
 */
export function tenantIdFault(value: string | null | undefined): CallerError | undefined {
  if (value === undefined || value === null || value === "") {
    return new UnauthenticatedError(
      "TENANT_REQUIRED",
      "set the header X-Tenant-Id to the tenant that the call is for",
    );
  }
  if (TENANT_ID.test(value)) return undefined;
  return new InvalidArgumentError([
    {
      field: "X-Tenant-Id",
      description: "must be 1 to 64 of A-Z a-z 0-9 . _ - and begin with a letter or digit",
    },
  ]);
}
