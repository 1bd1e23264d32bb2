import { createRequire } from "node:module";
import type * as Gax from "google-gax";

/**
 * The transport that the vendor's client itself uses, by way of that client: gRPC objects of another copy would not be
 * taken for its own.
 */
export const gax: typeof Gax = createRequire(import.meta.resolve("@google-cloud/batch"))("google-gax");
